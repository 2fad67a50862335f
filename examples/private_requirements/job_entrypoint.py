from harbour_units import knots


class FerrySpeed:
    """How fast a ferry goes, in the unit of those who sail it."""

    def perform(self, kilometres: float, minutes: float) -> float:
        """
        Tell how fast a ferry was on average.
        :param kilometres: How far it went.
        :param minutes: How long that took.
        :return: Knots.
        """
        if minutes <= 0:
            raise ValueError("minutes: expected more than 0")
        return round(knots(kilometres / minutes * 60), 1)

    def docs_input_example(self) -> dict:
        return {"kilometres": 18.52, "minutes": 30}

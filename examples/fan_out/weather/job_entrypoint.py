import time

SUNNY = {"Ribe", "Skagen"}
SECONDS_AN_ANSWER = 0.2


class JobEntrypoint:
    """Knows the weather of towns."""

    def perform(self, town: str) -> dict[str, object]:
        """
        Say how it is there.
        :param town: Where somebody wants to go.
        """
        time.sleep(SECONDS_AN_ANSWER)  # in place of a model
        is_good = town in SUNNY
        return {"good": is_good, "why": "sun" if is_good else "rain"}

    def docs_input_example(self) -> dict[str, object]:
        return {"town": "Ribe"}

import time

ROOMY = {"Ribe", "Skagen", "Odense"}
SECONDS_AN_ANSWER = 0.2


class JobEntrypoint:
    """Knows the car parks of towns."""

    def perform(self, town: str) -> dict[str, object]:
        """
        Say how it is there.
        :param town: Where somebody wants to go.
        """
        time.sleep(SECONDS_AN_ANSWER)  # in place of a model
        is_good = town in ROOMY
        return {"good": is_good, "why": "free places" if is_good else "full"}

    def docs_input_example(self) -> dict[str, object]:
        return {"town": "Ribe"}

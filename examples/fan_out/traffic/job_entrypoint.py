import time

QUIET = {"Ribe", "Odense"}
SECONDS_AN_ANSWER = 0.2


class JobEntrypoint:
    """Knows the roads to towns."""

    def perform(self, town: str) -> dict[str, object]:
        """
        Say how it is there.
        :param town: Where somebody wants to go.
        """
        time.sleep(SECONDS_AN_ANSWER)  # in place of a model
        is_good = town in QUIET
        return {"good": is_good, "why": "free roads" if is_good else "queues"}

    def docs_input_example(self) -> dict[str, object]:
        return {"town": "Ribe"}

import math


class JobEntrypoint:
    """Multiplies numbers."""

    def perform(self, numbers: list[float]) -> float:
        """
        Return the product of numbers.
        :param numbers: What is multiplied.
        """
        if not numbers:
            raise ValueError("there is nothing to multiply")
        return math.prod(numbers)

    def docs_input_example(self) -> dict[str, object]:
        return {"numbers": [6, 7]}

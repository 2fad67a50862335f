class Job:
    def perform(self, numbers: list[float]) -> float:
        """
        Return the sum of numbers.
        :param numbers: The numbers.
        :return: Their sum.
        """
        return sum(numbers)

    def docs_input_example(self) -> dict[str, list[float]]:
        return {"numbers": [40, 2]}

class Job:
    def perform(self, *numbers: float) -> float:
        """
        Return the sum of numbers.
        :param numbers: The numbers.
        :return: Their sum.
        """
        return sum(numbers)

class Job:
    def perform(self, x: float, y: float = 2) -> float:
        """
        Return the product of two numbers.
        :param x: The first number.
        :param y: The second number.
        :return: The product of x and y.
        """
        return x * y

    def auxiliary_endpoints(self) -> dict[str, object]:
        return {"/half": self.halve}

    def half(self, x: float) -> float:
        """
        Return half of a number.
        :param x: The number.
        :return: Half of it.
        """
        return x / 2

    def docs_input_examples(self) -> dict[str, dict[str, float]]:
        return {"/perform": {"x": 20, "y": 5}, "/half": {"x": 20}}

class Job:
    def __init__(self) -> None:
        self.calls = 0

    def perform(self, x: float, y: float = 2) -> float:
        """
        Return the product of two numbers, and of the number of calls.
        :param x: The first number.
        :param y: The second number.
        :return: The product.
        """
        self.calls += 1
        return x * y * self.calls

    def docs_input_example(self) -> dict[str, float]:
        return {"x": 20, "y": 5}

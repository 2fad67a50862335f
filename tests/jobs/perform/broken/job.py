class Job:
    def preform(self, x: float, y: float = 2) -> float:
        """
        Return the product of two numbers.
        :param x: The first number.
        :param y: The second number.
        :return: The product of x and y.
        """
        return x * y

    def metrics(self) -> list[dict[str, object]]:
        return [{"name": "model_accuracy", "value": 0.93}]

class Job:
    def perform(self, x: float, y: float = 2) -> float:
        """
        Return the product of two numbers.
        :param x: The first number.
        :param y: The second number.
        :return: The product of x and y.
        """
        return x * y

    def docs_input_example(self) -> dict[str, float]:
        return {"x": 20, "y": 5}

    def metrics(self) -> list[dict[str, object]]:
        return [{"name": "model_accuracy", "value": 0.93}]

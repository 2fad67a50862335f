from supersmart.model import just_do_it


class JobEntrypoint:
    """A supersmart model that multiplies."""

    def perform(self, x: float, y: float) -> float:
        """
        Return the product of two numbers.
        :param x: The first number.
        :param y: The second number.
        :return: The product of x and y.
        """
        return just_do_it(x, y)

    def docs_input_example(self) -> dict[str, float]:
        return {"x": 20, "y": 5}

import os


class Greeter:
    """Greets in the words of its environment."""

    def __init__(self):
        # Variables are text, whatever they look like.
        self.greeting = os.environ["GREETING"]
        self.marks = "!" * int(os.environ["EXCLAMATION_MARKS"])

    def perform(self, name: str) -> str:
        """
        Greet somebody.
        :param name: Who is greeted.
        :return: The greeting.
        """
        return f"{self.greeting}, {name}{self.marks}"

    def docs_input_example(self) -> dict:
        return {"name": "Ada"}

from typing import Literal


class JobEntrypoint:
    """Works out prices."""

    def perform(self, price: float, customer: Literal["new", "regular"] = "new") -> float:
        """
        Take the discount off a price.
        :param price: The full price.
        :param customer: Regular ones get 10 percent.
        :return: What is to be paid.
        """
        if price < 0:
            raise ValueError("price: expected 0 or more")
        return round(price * (0.9 if customer == "regular" else 1), 2)

    def docs_input_example(self) -> dict[str, object]:
        return {"price": 50, "customer": "regular"}

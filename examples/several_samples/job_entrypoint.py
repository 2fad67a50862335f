from typing import Literal


class Temperature:
    """Converts temperatures."""

    def perform(self, value: float, unit: Literal["C", "F"] = "C") -> float:
        """
        Convert a temperature into the other unit.
        :param value: Degrees.
        :param unit: Their unit: Celsius or Fahrenheit.
        :return: Degrees in the other unit.
        """
        return value * 9 / 5 + 32 if unit == "C" else (value - 32) * 5 / 9

    def feels(self, value: float) -> str:
        """
        Say how a temperature feels.
        :param value: Degrees Celsius.
        :return: A word for it.
        """
        return "cold" if value < 10 else "mild" if value < 25 else "hot"

    def auxiliary_endpoints(self) -> dict:
        return {"/feels": self.feels}

    def docs_input_examples(self) -> dict:
        # A list where one sample is not enough: the docs page lets people choose.
        return {
            "/perform": [{"value": 20}, {"value": 68, "unit": "F"}, {"value": -40}],
            "/feels": {"value": 31},
        }

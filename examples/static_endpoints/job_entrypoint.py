import math


class JobEntrypoint:
    """Forecasts how much power a small town takes."""

    def perform(self, temperature: float, hour: int) -> float:
        """
        Forecast the demand.
        :param temperature: Outdoors, in °C.
        :param hour: Of the day, 0 to 23.
        :return: Megawatts.
        """
        if not 0 <= hour <= 23:
            raise ValueError("hour: expected 0 to 23")
        heating = 0.3 * max(0.0, 17 - temperature)
        day = 4 * math.sin((hour - 8) * math.pi / 12)
        return round(14 + heating + day, 1)

    def static_endpoints(self) -> dict[str, str | tuple[str, str]]:
        return {
            "/xrai": "xrai.yaml",
            "/manifest": ("job.yaml", "text/plain"),
            "/docs/readme": "README.md",
            "/report": "report",
        }

    def docs_input_example(self) -> dict[str, float]:
        return {"temperature": 3.5, "hour": 18}

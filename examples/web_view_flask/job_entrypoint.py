from typing import Literal

from flask import Flask, render_template, request

Day = Literal["weekday", "weekend"]


class JobEntrypoint:
    """Forecasts how many bikes a rental station lends in a day."""

    def perform(self, temperature: float, rain: float = 0, day: Day = "weekday") -> int:
        """
        Forecast the rentals of one day.
        :param temperature: At noon, in °C.
        :param rain: In millimetres.
        :param day: Weekends are for trips, weekdays for the way to work.
        :return: Bikes.
        """
        if rain < 0:
            raise ValueError("rain: expected 0 or more")
        warmth = max(0.0, 1 - abs(temperature - 22) / 30)
        dryness = 1 / (1 + rain / 4)
        return round(320 * warmth * dryness * (1.25 if day == "weekend" else 1))

    def docs_input_example(self) -> dict[str, object]:
        return {"temperature": 19, "rain": 0, "day": "weekend"}

    def webview_app(self, base_url: str) -> Flask:
        """Pages below `base_url`: every route begins with it."""
        app = Flask(__name__, static_url_path=base_url + "/static")

        @app.get(base_url + "/")
        def home() -> str:
            return render_template("home.html", given={"temperature": "19", "rain": "0", "day": "weekday"})

        @app.post(base_url + "/forecast")
        def forecast() -> str | tuple[str, int]:
            given = request.form.to_dict()
            try:
                bikes = self.perform(
                    temperature=float(given.get("temperature", "")),
                    rain=float(given.get("rain", "")),
                    day="weekend" if given.get("day") == "weekend" else "weekday",
                )
            except ValueError as error:
                return render_template("home.html", given=given, error=str(error)), 400
            return render_template("home.html", given=given, bikes=bikes)

        return app

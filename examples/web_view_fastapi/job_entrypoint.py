import html
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
# The highest value of each band, in µg/m³.
BANDS = {
    "pm25": (10, 20, 25, 50, 75),
    "no2": (40, 90, 120, 230, 340),
}
WORDS = ("good", "fair", "moderate", "poor", "very poor", "extremely poor")


class JobEntrypoint:
    """Tells how good the air is."""

    def perform(self, pm25: float, no2: float) -> dict[str, object]:
        """
        Judge the air by its worst part.
        :param pm25: Fine dust, µg/m³.
        :param no2: Nitrogen dioxide, µg/m³.
        :return: A word for it, and what is worst.
        """
        measured = {"pm25": pm25, "no2": no2}
        if min(measured.values()) < 0:
            raise ValueError("pm25, no2: expected 0 or more")
        bands = {name: sum(value > most for most in BANDS[name]) for name, value in measured.items()}
        worst = max(bands, key=lambda name: bands[name])
        return {"air": WORDS[bands[worst]], "worst": worst}

    def docs_input_example(self) -> dict[str, float]:
        return {"pm25": 31.5, "no2": 22}

    def webview_app(self, base_url: str) -> FastAPI:
        """An ASGI application routes from its own root; `base_url` is its root_path."""

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            app.state.stations = {"Harbour": (31.5, 22.0), "Park": (8.2, 12.5), "Ringway": (18.0, 96.0)}
            yield  # what stands below is done at the end
            app.state.stations.clear()

        app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None)

        @app.get("/")
        async def home(request: Request) -> HTMLResponse:
            rows = [
                f'<tr><th><a href="{request.url_for("station", name=name).path}">{html.escape(name)}</a></th>'
                f"<td>{pm25:g}</td><td>{no2:g}</td><td>{self.perform(pm25, no2)['air']}</td></tr>"
                for name, (pm25, no2) in app.state.stations.items()
            ]
            return HTMLResponse(PAGE.replace("<!-- stations -->", "\n".join(rows)))

        @app.get("/stations/{name}")
        async def station(name: str) -> dict[str, object]:
            if name not in app.state.stations:
                raise HTTPException(404, f"there is no station {name}")
            return self.perform(*app.state.stations[name])

        return app

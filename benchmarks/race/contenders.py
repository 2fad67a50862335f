"""Who takes part: how each is installed, set, started, called and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from process import HERE

from race.works import WORKS

FOLDER = HERE / "contenders"
PINS = FOLDER / "pins"
YARDSTICK = "bare"


@dataclass(frozen=True)
class Kind:
    """A contender as it is written here.

    ``environment``: whose pins it is installed by. ``distributions``: what it stands on, named with versions.
    ``arguments`` follow the interpreter, with ``{port}``. ``imports``: what its server imports.
    ``own``: it has the environment to itself, so that all of that is what it needs.
    """

    title: str
    environment: str
    distributions: tuple[str, ...]
    arguments: tuple[str, ...]
    setting: str
    imports: str
    own: bool = True

    @property
    def pins(self) -> Path:
        """The exact versions of all that is installed for it."""
        return PINS / f"{self.environment}.txt"

    def path(self, work: str) -> str:
        """Where it is called for a work."""
        return f"/api/v1/{'perform' if work == 'sum' else work}"

    def sent(self, work: str) -> Mapping[str, Any]:
        """The body before it is encoded."""
        return WORKS[work].arguments

    def read(self, answer: Any) -> Any:
        """The result in the body of an answer, decoded."""
        return answer


class OfOnePath(Kind):
    """LitServe has one path for an API with one worker process, and the body says what is meant."""

    def path(self, work: str) -> str:
        return "/predict"

    def sent(self, work: str) -> Mapping[str, Any]:
        return {"work": work, **WORKS[work].arguments}


class OfInstances(Kind):
    """KServe, by its V1 protocol: a list of calls, a list of answers."""

    def path(self, work: str) -> str:
        return f"/v1/models/{work}:predict"

    def sent(self, work: str) -> Mapping[str, Any]:
        return {"instances": [WORKS[work].arguments]}

    def read(self, answer: Any) -> Any:
        (result,) = answer["predictions"]
        return result


RUN = ("-m", "pyjob", "run", ".", "--host", "127.0.0.1", "--port", "{port}")
GUNICORN = (
    *("-m", "gunicorn", "--worker-class", "gthread", "--workers", "1", "--threads", "8"),
    *("--bind", "127.0.0.1:{port}", "--log-level", "warning"),
)
GRANIAN = (
    *("-m", "granian", "--interface", "wsgi", "--workers", "1", "--blocking-threads", "8"),
    *("--host", "127.0.0.1", "--port", "{port}", "--log-level", "warning"),
)
UVICORN = ("-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--log-level", "warning")
BENTOML = ("-m", "bentoml", "serve", "--do-not-track", "--host", "127.0.0.1", "--port", "{port}")

KINDS: dict[str, Kind] = {
    YARDSTICK: Kind(
        title="bare function on waitress",
        environment="pyjob",
        distributions=("waitress",),
        arguments=("on_waitress.py", "{port}"),
        setting="8 threads, no lines about calls that wait",
        imports="waitress",
        own=False,
    ),
    "werkzeug": Kind(
        title="werkzeug on waitress",
        environment="pyjob",
        distributions=("werkzeug", "waitress"),
        arguments=("on_werkzeug.py", "{port}"),
        setting="8 threads, no lines about calls that wait",
        imports="werkzeug, waitress",
        own=False,
    ),
    "pyjob": Kind(
        title="pyjob run",
        environment="pyjob",
        distributions=("pyjob", "waitress"),
        arguments=(*RUN, "--threads", "8", "--no-access-log"),
        setting="8 threads for calls, no access lines",
        imports="pyjob.cli",
        own=False,
    ),
    "pyjob-lines": Kind(
        title="pyjob run, access lines",
        environment="pyjob",
        distributions=("pyjob", "waitress"),
        arguments=(*RUN, "--threads", "8"),
        setting="8 threads for calls, an access line a call (the default)",
        imports="pyjob.cli",
        own=False,
    ),
    "pyjob-gunicorn": Kind(
        title="pyjob on gunicorn",
        environment="pyjob",
        distributions=("pyjob", "gunicorn"),
        arguments=(*GUNICORN, "on_pyjob:application"),
        setting="gthread, 1 worker, 8 threads, no access lines",
        imports="pyjob, gunicorn.app.wsgiapp",
        own=False,
    ),
    "pyjob-granian": Kind(
        title="pyjob on granian",
        environment="pyjob",
        distributions=("pyjob", "granian"),
        arguments=(*GRANIAN, "on_pyjob:application"),
        setting="1 worker, 8 threads, no access lines",
        imports="pyjob, granian",
        own=False,
    ),
    "bare-granian": Kind(
        title="bare function on granian",
        environment="pyjob",
        distributions=("granian",),
        arguments=(*GRANIAN, "bare:bare"),
        setting="1 worker, 8 threads",
        imports="granian",
        own=False,
    ),
    "racetrack": Kind(
        title="Racetrack job runner",
        environment="racetrack",
        distributions=("racetrack-job-runner", "fastapi", "uvicorn"),
        arguments=("on_racetrack.py", "run", "job.py", "--manifest-path", "job.yaml", "--port", "{port}"),
        setting="as it comes: up to 40 threads, its log lines",
        imports="racetrack_job_wrapper.main",
    ),
    "fastapi": Kind(
        title="FastAPI on uvicorn",
        environment="fastapi",
        distributions=("fastapi", "uvicorn", "pydantic"),
        arguments=(*UVICORN, "--no-access-log", "on_fastapi:app"),
        setting="1 process, plain functions in 8 threads, no access lines",
        imports="fastapi, uvicorn",
    ),
    "flask": Kind(
        title="Flask on gunicorn",
        environment="flask",
        distributions=("flask", "gunicorn"),
        arguments=(*GUNICORN, "on_flask:app"),
        setting="gthread, 1 worker, 8 threads, no access lines",
        imports="flask, gunicorn.app.wsgiapp",
    ),
    "litserve": OfOnePath(
        title="LitServe",
        environment="litserve",
        distributions=("litserve", "fastapi", "uvicorn"),
        arguments=("on_litserve.py", "{port}"),
        setting="1 worker process, which takes one call at a time; no access lines",
        imports="litserve",
    ),
    "bentoml": Kind(
        title="BentoML",
        environment="bentoml",
        distributions=("bentoml", "starlette", "uvicorn"),
        arguments=(*BENTOML, "on_bentoml:RaceService"),
        setting="1 worker, 8 threads, no access lines, no tracking",
        imports="bentoml",
    ),
    "kserve": OfInstances(
        title="KServe model server",
        environment="kserve",
        distributions=("kserve", "fastapi", "uvicorn"),
        arguments=("on_kserve.py", "{port}"),
        setting="V1 protocol, 1 worker, one call at a time (in its event loop); no gRPC, no access lines",
        imports="kserve",
    ),
}

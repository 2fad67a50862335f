"""What is chosen for an application, and what its environment says of the deployment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyjob.manifest.fields import FieldError, origins


@dataclass(frozen=True)
class Settings:
    """``access_log``: whether each call gets a line in the log.

    ``self_test``: ready only once every sample payload has been answered, each within so many seconds.
    ``status``: whether there is a page at `/status`. ``cors_origins``: origins whose pages may call the job,
    beside those of its manifest. ``caller_metrics``: whether calls are counted by the names of callers.
    Raises ValueError for what is no origin.
    """

    access_log: bool = True
    self_test: float | None = None
    status: bool = True
    cors_origins: tuple[str, ...] = ()
    caller_metrics: bool = False

    def __post_init__(self) -> None:
        try:
            origins(self.cors_origins)
        except FieldError as error:
            one = error.problems[0]
            raise ValueError(f"cors_origins{one.path}: expected {one.expected}, found {one.found}") from None


@dataclass(frozen=True)
class Deployment:
    """What a platform tells a job of its deployment, for the probes to pass on (SPEC 4.1)."""

    git_version: str | None = None
    deployed_by_racetrack_version: str | None = None
    deployment_timestamp: int | str | None = None
    job_type_version: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Deployment:
        """As ``environ`` has it; empty variables count as unset."""
        timestamp = environ.get("JOB_DEPLOYMENT_TIMESTAMP") or None
        return cls(
            git_version=environ.get("GIT_VERSION") or None,
            deployed_by_racetrack_version=environ.get("DEPLOYED_BY_RACETRACK_VERSION") or None,
            deployment_timestamp=int(timestamp) if timestamp and _is_number(timestamp) else timestamp,
            job_type_version=environ.get("JOB_TYPE_VERSION") or None,
        )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20

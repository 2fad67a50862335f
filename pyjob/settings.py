"""pyjob's own settings, read from the environment once, after the job's variables are in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """``access_log``: a line a call; ``port``: as `PORT` has it. The rest is what `/health` tells."""

    access_log: bool = True
    log_level: str = "info"
    port: str | None = None
    git_version: str | None = None
    deployed_by_racetrack_version: str | None = None
    deployment_timestamp: int | str | None = None
    job_type_version: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """The settings that ``environ`` asks for; empty variables count as unset."""
        timestamp = environ.get("JOB_DEPLOYMENT_TIMESTAMP") or None
        return cls(
            log_level=environ.get("LOG_LEVEL") or "info",
            port=environ.get("PORT") or None,
            git_version=environ.get("GIT_VERSION") or None,
            deployed_by_racetrack_version=environ.get("DEPLOYED_BY_RACETRACK_VERSION") or None,
            deployment_timestamp=int(timestamp) if timestamp and _is_number(timestamp) else timestamp,
            job_type_version=environ.get("JOB_TYPE_VERSION") or None,
        )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20

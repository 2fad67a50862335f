"""A served job against its own OpenAPI document, by schemathesis: wrong and right payloads by the hundred."""

from __future__ import annotations

import enum
from typing import Annotated, Any, BinaryIO, Dict, List, Literal, Optional  # noqa: UP035

import pytest

import pyjob

schemathesis = pytest.importorskip("schemathesis")
from hypothesis import HealthCheck, assume, settings  # noqa: E402  it comes with schemathesis


class Body:
    """Marks what a body that is no object is the value of."""


class Unit(enum.Enum):
    METRE = "m"
    FOOT = "ft"


class Checked:
    """Every argument of this job is of a checked type."""

    def perform(
        self,
        numbers: List[float],  # noqa: UP006
        weights: Dict[str, float],  # noqa: UP006
        unit: Unit,
        mode: Literal["mean", "sum"] = "mean",
        label: Optional[str] = None,  # noqa: UP045
        limit: int = 10,
        strict: bool = False,
    ) -> Dict[str, Any]:  # noqa: UP006
        """
        Weigh numbers.

        :param numbers: What is weighed.
        """
        return {"count": len(numbers) + len(weights), "unit": unit, "mode": mode, "label": label}

    def scale(
        self,
        factor: float,
        unit: Unit,
        numbers: Annotated[List[int], Body()],  # noqa: UP006
        exact: bool = False,
    ) -> List[float]:  # noqa: UP006
        return [factor * number for number in numbers]

    def convert(self, value: int, to: Literal["a", "b"] = "a", limit: Optional[float] = None) -> str:  # noqa: UP045
        return f"{value}{to}"

    def upload(self, file: BinaryIO, limit: int = 10, sizes: Optional[List[int]] = None) -> int:  # noqa: UP006, UP045
        return len(file.read()) + limit + len(sizes or [])

    def compare(self, first: bytes, others: List[bytes], strict: bool = False) -> bool:  # noqa: UP006
        return any(first == other for other in others) or strict

    def auxiliary_endpoints(self) -> Dict[str, Any]:  # noqa: UP006
        return {"/weigh": self.perform, "/upload": self.upload, "/compare": self.compare}

    def auxiliary_endpoints_v2(self) -> List[pyjob.EndpointConfig]:  # noqa: UP006
        return [
            pyjob.EndpointConfig("/scale/{factor}", "POST", self.scale),
            pyjob.EndpointConfig("/convert/{value}", "GET", self.convert),
        ]


APPLICATION = pyjob.create(Checked, settings=pyjob.Settings(access_log=False), load="now")
positive = schemathesis.openapi.from_wsgi("/openapi.json", APPLICATION)
negative = schemathesis.openapi.from_wsgi("/openapi.json", APPLICATION)
positive.config.generation.update(modes=[schemathesis.GenerationMode.POSITIVE])
negative.config.generation.update(modes=[schemathesis.GenerationMode.NEGATIVE])
UPLOADS = ["/api/v1/upload", "/api/v1/compare"]
uploads = positive.include(path=UPLOADS)
positive = positive.exclude(path=UPLOADS)
# What violates their schema may be nothing in a form: an empty list of a field is no field.
negative = negative.exclude(path=UPLOADS)
HURRIED = settings(max_examples=60, suppress_health_check=list(HealthCheck))


@positive.parametrize()
@HURRIED
def test_valid_payloads_are_answered_as_documented(case: Any) -> None:
    case.call_and_validate()


@uploads.parametrize()
@HURRIED
def test_files_are_taken_as_documented(case: Any) -> None:
    # No JSON Schema says that a string is base64.
    assume(case.media_type != "application/json")
    case.call_and_validate()


@negative.parametrize()
@HURRIED
def test_invalid_payloads_are_refused_as_documented(case: Any) -> None:
    case.call_and_validate()

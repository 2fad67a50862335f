"""A served job against its own OpenAPI document, by schemathesis: wrong and right payloads by the hundred."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Dict, List, Literal, Optional  # noqa: UP035

import pytest

import pyjob

schemathesis = pytest.importorskip("schemathesis")
from hypothesis import HealthCheck, settings  # noqa: E402  it comes with schemathesis


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

    def auxiliary_endpoints(self) -> Dict[str, Any]:  # noqa: UP006
        return {"/weigh": self.perform}

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
HURRIED = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@positive.parametrize()
@HURRIED
def test_valid_payloads_are_answered_as_documented(case: Any) -> None:
    case.call_and_validate()


@negative.parametrize()
@HURRIED
def test_invalid_payloads_are_refused_as_documented(case: Any) -> None:
    case.call_and_validate()

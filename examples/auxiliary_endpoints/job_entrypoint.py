from collections.abc import Callable
from typing import Annotated, Any, Literal

from pyjob import EndpointConfig, JobError

Speed = Literal["normal", "express"]

DEPOTS = {"bergen": 463.0, "oslo": 12.0, "tromso": 1650.0}  # kilometres by road


class Body:
    """Marks the parameter that is the whole body."""


class JobEntrypoint:
    """Tells how long a parcel is on its way."""

    def perform(self, weight: float, distance: float, speed: Speed = "normal") -> float:
        """
        Estimate the hours until delivery.
        :param weight: In kilograms.
        :param distance: In kilometres.
        :param speed: Express parcels wait for nothing.
        :return: Hours.
        """
        return round(sum(self.explain(weight, distance, speed).values()), 1)

    def explain(self, weight: float, distance: float, speed: Speed = "normal") -> dict[str, float]:
        """
        Tell what an estimate is made of.
        :return: Hours, by what they are spent on.
        """
        if weight <= 0 or distance <= 0:
            raise ValueError("weight, distance: expected more than 0")
        return {
            "sorting": 2.0 if speed == "express" else 12.0,
            "driving": round(distance / 60, 2),
            "handling": round(weight / 10, 2),
        }

    def to_depot(self, depot: str, weight: float = 1, speed: Speed = "normal") -> float:
        """
        Estimate the hours to one of our depots.
        :param depot: Its town, in small letters.
        """
        if depot not in DEPOTS:
            raise JobError(404, f"there is no depot in {depot}, only in {', '.join(DEPOTS)}")
        return self.perform(weight, DEPOTS[depot], speed)

    def of_many(self, distances: Annotated[list[float], Body()], weight: float = 1) -> list[float]:
        """
        Estimate many parcels of one weight at once.
        :param distances: The body is this list.
        """
        return [self.perform(weight, distance) for distance in distances]

    def auxiliary_endpoints(self) -> dict[str, Callable[..., Any]]:
        return {"/explain": self.explain}

    def auxiliary_endpoints_v2(self) -> list[EndpointConfig]:
        return [
            EndpointConfig("/depots/{depot}/hours", "GET", self.to_depot, {"tags": ["depots"]}),
            EndpointConfig("/batch", "POST", self.of_many, {"summary": "Many parcels"}),
        ]

    def docs_input_examples(self) -> dict[str, Any]:
        parcels = [{"weight": 2.5, "distance": 463}, {"weight": 31, "distance": 12, "speed": "express"}]
        return {
            "/perform": parcels,
            "/explain": parcels[0],
            "/depots/{depot}/hours": {"depot": "bergen", "weight": 2.5},
            "/batch": {"distances": [463, 12], "weight": 2.5},
        }

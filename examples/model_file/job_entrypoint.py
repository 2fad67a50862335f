import json
import math
from pathlib import Path
from typing import Any, TypedDict


class Prediction(TypedDict):
    probability: float
    needs_maintenance: bool


class JobEntrypoint:
    """Tells whether a machine needs maintenance, from what its sensors say."""

    def __init__(self) -> None:
        # The working directory is this folder while the job loads.
        model: dict[str, Any] = json.loads(Path("model.json").read_text())
        self.names: list[str] = model["features"]
        self.scaling = list(zip(model["means"], model["scales"], strict=True))
        self.weights: list[float] = model["weights"]
        self.bias: float = model["bias"]
        self.accuracy: float = model["accuracy"]

    def perform(self, features: list[float]) -> Prediction:
        """
        Judge one machine.
        :param features: Temperature in °C, vibration in mm/s, age in years.
        :return: How likely it is to need maintenance, and whether that is more than a half.
        """
        if len(features) != len(self.names):
            raise ValueError(f"features: expected {len(self.names)} numbers ({', '.join(self.names)})")
        scaled = ((value - mean) / scale for value, (mean, scale) in zip(features, self.scaling, strict=True))
        total = self.bias + sum(weight * value for weight, value in zip(self.weights, scaled, strict=True))
        probability = 1 / (1 + math.exp(-total))
        return {"probability": round(probability, 3), "needs_maintenance": probability > 0.5}

    def docs_input_example(self) -> dict[str, list[float]]:
        return {"features": [64.5, 1.8, 6]}

    def metrics(self) -> list[dict[str, object]]:
        return [
            {
                "name": "model_accuracy",
                "description": "Share of the test samples that the model judged right",
                "value": self.accuracy,
                "labels": {"model": "logistic_regression"},
            },
        ]

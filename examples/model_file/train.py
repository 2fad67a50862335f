"""Make model.json: a logistic regression in plain Python, on data that is made up here.

Run it in this folder: `python train.py`. The numbers are the same every time.
"""

import json
import math
import random
from pathlib import Path

FEATURES = ("temperature", "vibration", "age")
Sample = tuple[list[float], bool]


def made_up_samples(count: int) -> list[Sample]:
    """Machines at work: those that run hot, shake and are old need maintenance, give or take."""
    dice = random.Random(7)
    samples = []
    for _ in range(count):
        temperature, vibration, age = dice.gauss(60, 10), dice.gauss(2, 0.5), dice.uniform(0, 10)
        strain = (temperature - 60) / 10 + (vibration - 2) / 0.5 + (age - 5) / 3
        samples.append(([temperature, vibration, age], strain + dice.gauss(0, 0.5) > 0))
    return samples


def scaled(row: list[float], means: list[float], scales: list[float]) -> list[float]:
    return [(value - mean) / scale for value, mean, scale in zip(row, means, scales, strict=True)]


def probability(row: list[float], weights: list[float], bias: float) -> float:
    total = bias + sum(weight * value for weight, value in zip(weights, row, strict=True))
    return 1 / (1 + math.exp(-total))


def fitted(samples: list[Sample], rounds: int = 200, rate: float = 0.5) -> tuple[list[float], float]:
    """Weights and bias by gradient descent."""
    weights, bias = [0.0] * len(FEATURES), 0.0
    for _ in range(rounds):
        errors = [probability(row, weights, bias) - needs_it for row, needs_it in samples]
        for index in range(len(FEATURES)):
            slope = sum(error * row[index] for error, (row, _) in zip(errors, samples, strict=True))
            weights[index] -= rate * slope / len(samples)
        bias -= rate * sum(errors) / len(samples)
    return weights, bias


def train() -> dict[str, object]:
    samples = made_up_samples(500)
    columns = list(zip(*(row for row, _ in samples), strict=True))
    means = [round(sum(column) / len(column), 3) for column in columns]
    scales = [
        round(math.dist(c, [m] * len(c)) / len(c) ** 0.5, 3) for c, m in zip(columns, means, strict=True)
    ]
    ready = [(scaled(row, means, scales), needs_it) for row, needs_it in samples]
    weights, bias = fitted(ready[:400])
    right = [(probability(row, weights, bias) > 0.5) == needs_it for row, needs_it in ready[400:]]
    return {
        "features": FEATURES,
        "means": means,
        "scales": scales,
        "weights": [round(weight, 3) for weight in weights],
        "bias": round(bias, 3),
        "accuracy": sum(right) / len(right),
    }


if __name__ == "__main__":
    Path("model.json").write_text(json.dumps(train(), indent=2) + "\n")

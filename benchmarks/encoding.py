"""What encoding a result costs: pyjob with and without its extra `fast`, orjson alone, FastAPI and BentoML.

Nothing is served: each contender makes bytes of JSON from a value as it does with what a handler returns.
FastAPI passes it through `jsonable_encoder` and renders a response, BentoML passes it to its JSON descriptor.
The contenders take turns and are compared inside a round. What counts is the time of the processor. Every
answer is decoded once and compared with pyjob's.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import version
from statistics import median
from typing import Any

from report import place, print_table

from pyjob.wire.results import encoding

Encode = Callable[[Any], bytes]

PYJOB, ORJSON = "pyjob", "orjson alone"
# Seconds that a turn takes at least, so that the clock does not matter.
SHORTEST_TURN = 0.02


@dataclass(frozen=True)
class Turns:
    """Those of one contender with one value: how many calls each has, and what one took, a number a round.

    No calls: it cannot encode the value.
    """

    calls: int
    remark: str
    milliseconds: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description="Milliseconds to encode a result.")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each (default: %(default)s)")
    options = parser.parse_args()
    values = made_values()
    contenders, missing = made_contenders()
    costs = {name: measured(value, contenders, options.rounds) for name, value in values.items()}
    print(f"Milliseconds, median of {options.rounds} rounds; {place()}\n")
    rows = [[name, *(_milliseconds(costs[value][name]) for value in values)] for name in contenders]
    print_table(("", *values), rows)
    if ORJSON in contenders:
        print("\nTimes what orjson alone takes, median of the rounds:\n")
        rows = [[name, *(_ratio(costs[value], name) for value in values)] for name in contenders]
        print_table(("", *values), rows)
    for name in missing:
        print(f"\n{name}: not installed")


def made_values() -> dict[str, Any]:
    """Results by name."""
    numpy: Any = import_module("numpy")
    pandas: Any = import_module("pandas")
    random, rows = numpy.random.default_rng(7), 10_000
    floats = random.random(100_000)
    return {
        "small dict": {"label": "cat", "score": 0.93, "sure": True, "boxes": [[1, 2], [30, 40]]},
        "100,000 floats": floats.tolist(),
        "the same, NumPy": floats,
        "dict of arrays": {
            "model": "detector",
            "boxes": random.random((1000, 4)).astype("float32"),
            "scores": random.random(1000),
            "classes": random.integers(0, 80, 1000),
            "mask": random.random((128, 128)) > 0.5,
        },
        "frame of 10,000 rows": pandas.DataFrame(
            {
                "id": range(rows),
                "score": random.random(rows),
                "label": random.choice(["cat", "dog", "bird"], rows),
                "seen": random.random(rows) > 0.5,
                "when": pandas.date_range("2026-01-01", periods=rows, freq="min"),
            }
        ),
    }


def made_contenders() -> tuple[dict[str, Encode], list[str]]:
    """The contenders by name, and the names of what is not installed."""
    contenders: dict[str, Encode] = {PYJOB: encoding.encode}
    missing = []
    for library, make in (
        ("orjson", orjson_encoders),
        ("fastapi", fastapi_encoders),
        ("bentoml", bentoml_encoders),
    ):
        try:
            contenders |= make()
        except ImportError:
            missing.append(library)
    return contenders, missing


def orjson_encoders() -> dict[str, Encode]:
    """Raises `ImportError`."""
    orjson: Any = import_module("orjson")
    fast: Any = import_module("pyjob.wire.results.fast")
    return {
        f"{PYJOB}, extra fast": fast.encode,
        ORJSON: lambda value: bytes(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)),
    }


def fastapi_encoders() -> dict[str, Encode]:
    """What is returned goes through the first; a response of one's own, the last, skips its encoder.

    Raises `ImportError`.
    """
    plain: Callable[[Any], Any] = import_module("fastapi.encoders").jsonable_encoder
    responses: Any = import_module("fastapi.responses")
    name = f"FastAPI {version('fastapi')}"
    encoders: dict[str, Encode] = {name: lambda value: bytes(responses.JSONResponse(plain(value)).body)}
    if hasattr(responses, "ORJSONResponse"):
        encoders[f"{name}, ORJSONResponse"] = lambda value: bytes(responses.ORJSONResponse(plain(value)).body)
        encoders[f"{name}, ORJSONResponse made by hand"] = lambda value: bytes(
            responses.ORJSONResponse(value).body
        )
    return encoders


def bentoml_encoders() -> dict[str, Encode]:
    """Raises `ImportError`."""
    descriptor: Any = import_module("bentoml.io").JSON()

    def encode(value: Any) -> bytes:
        # It awaits nothing: an event loop would only cost time.
        try:
            descriptor.to_http_response(value).send(None)
        except StopIteration as done:
            return bytes(done.value.body)
        raise RuntimeError("BentoML waits for something")

    return {f"BentoML {version('bentoml')}": encode}


def measured(value: Any, contenders: Mapping[str, Encode], rounds: int) -> dict[str, Turns]:
    """The turns of each contender with ``value``."""
    turns = {name: first_turn(value, encode) for name, encode in contenders.items()}
    for _ in range(rounds):
        for name, turn in turns.items():
            if turn.calls:
                cost = seconds(contenders[name], value, turn.calls) / turn.calls
                turn.milliseconds.append(cost * 1000)
    return turns


def first_turn(value: Any, encode: Encode) -> Turns:
    """One that does not count: whether ``encode`` can do it, and how often it has to for the clock."""
    try:
        decoded = json.loads(encode(value))
    except Exception as error:  # noqa: BLE001  whatever a library says of what it does not know
        return Turns(calls=0, remark=f"cannot ({type(error).__name__})")
    calls = 1
    while seconds(encode, value, calls) < SHORTEST_TURN:
        calls *= 2
    return Turns(calls, "" if decoded == json.loads(encoding.encode(value)) else " (other values)")


def seconds(encode: Encode, value: Any, calls: int) -> float:
    began = time.process_time()
    for _ in range(calls):
        encode(value)
    return time.process_time() - began


def _milliseconds(turns: Turns) -> str:
    return f"{median(turns.milliseconds):.3g}{turns.remark}" if turns.calls else turns.remark


def _ratio(turns: Mapping[str, Turns], name: str) -> str:
    own, orjson = turns[name], turns[ORJSON]
    if not own.calls or not orjson.calls:
        return ""
    return f"{median(a / b for a, b in zip(own.milliseconds, orjson.milliseconds, strict=True)):.2f}"


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # what libraries say of their own future
    main()

"""What `pyjob run` imports until it has answered, and what that costs."""

from __future__ import annotations

from collections import defaultdict
from statistics import median

from footprint import HEAVIEST, IMPORT_TIME
from process import JOB, send
from summing import PATH, PAYLOAD, check_answer

from inside.children import Place


def heaviest(place: Place, *, starts: int) -> list[tuple[str, float, float]]:
    """The modules that cost most of their own: milliseconds alone, and with what they import; medians.

    Raises `StartError`, ValueError for a wrong answer and OSError.
    """
    alone: dict[str, list[int]] = defaultdict(list)
    together: dict[str, list[int]] = defaultdict(list)
    for number in range(starts + 1):
        with place.running(JOB, "-X", "importtime") as (server, output):
            check_answer("pyjob", *send(server.port, "POST", PATH, PAYLOAD))
            told = output.read_text()
        if not number:  # this one has written bytecode
            continue
        for own, whole, module in IMPORT_TIME.findall(told):
            alone[module].append(int(own))
            together[module].append(int(whole))
    costs = {module: median(values) / 1000 for module, values in alone.items()}
    names = sorted(costs, key=costs.__getitem__, reverse=True)[:HEAVIEST]
    return [(name, costs[name], median(together[name]) / 1000) for name in names]

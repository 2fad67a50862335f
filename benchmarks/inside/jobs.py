"""So many jobs in one process: microseconds a call, round and round; megabytes. Prints JSON.

Runs in pyjob's environment, in a fresh process for each number.
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

from app_cost import wsgi_run
from summing import Summing, check_answer

from pyjob import Settings, create

# Calls of one job before those of the next.
IN_A_ROW = 10


def main() -> None:
    count, calls = map(int, sys.argv[1:])
    settings = Settings(access_log=False)
    runs = [
        wsgi_run(create(type(f"Job{n}", (Summing,), {}), settings=settings, load="now")) for n in range(count)
    ]
    for run in runs:
        run(200)  # caches filled, code specialised
    turns = calls // IN_A_ROW // count
    began = time.process_time()
    for _ in range(turns):
        for run in runs:
            status, body = run(IN_A_ROW)
    taken = time.process_time() - began
    check_answer("pyjob", status, body)
    each = taken / (turns * count * IN_A_ROW) * 1e6
    json.dump({"us": each, "megabytes": resident()}, sys.stdout)


def resident() -> float:
    """Megabytes of this process (proc(5): VmRSS in kB)."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)[0]) / 1024


if __name__ == "__main__":
    main()

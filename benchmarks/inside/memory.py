"""What a server holds after many calls: `pyjob run` under wrk."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Sequence

from process import JOB, Served, pinned
from race.results import Memory
from summing import PATH, PAYLOAD, SUM

from inside.children import Place

CONNECTIONS = 16
LONGEST = 600
# Seconds until what the last calls needed is given back.
REST = 0.5
# wrk itself only knows how long, not how many; it is left at the last of them.
SCRIPT = """
wrk.method = "POST"
wrk.body = '%s'
wrk.headers["Content-Type"] = "application/json"
local got, wrong = 0, 0
function response(status, headers, body)
  got = got + 1
  if status ~= 200 or tonumber(body) ~= %d then wrong = wrong + 1 end
  if got == %d then
    io.write(string.format("RESULT %%d %%d\\n", got, wrong))
    io.flush()
    os.exit(0)
  end
end
"""


class LoadError(Exception):
    """Calls that failed, so that memory after them tells nothing."""


def memory_after(place: Place, calls: Sequence[int], *, load_core: int) -> Memory:
    """Megabytes after so many calls, ascending. Raises `LoadError` and `StartError`."""
    megabytes = []
    with place.running(JOB) as (server, _):
        done = 0
        for wanted in calls:
            with pinned(load_core):
                _call(server, wanted - done)
            done = wanted
            time.sleep(REST)
            megabytes.append(server.resident_megabytes())
    return Memory(tuple(calls), megabytes)


def _call(server: Served, count: int) -> None:
    """Have wrk make so many calls (some more are on their way at the end)."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % (PAYLOAD.decode(), SUM, count))
        script.flush()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{LONGEST}s", "-s", script.name]
        url = f"http://127.0.0.1:{server.port}{PATH}"
        run = subprocess.run([*command, url], capture_output=True, text=True, timeout=LONGEST + 60)
    numbers = [line.split()[1:] for line in run.stdout.splitlines() if line.startswith("RESULT ")]
    if run.returncode or len(numbers) != 1:
        raise LoadError(f"wrk made less than {count} calls in {LONGEST} s: {run.stdout}{run.stderr}")
    made, wrong = map(int, numbers[0])
    if wrong:
        raise LoadError(f"{wrong} of {made} answers were wrong")

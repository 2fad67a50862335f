"""What a served job takes: time until it is ready, memory at rest, packages on disk, imports at start.

The job is `summing.py` under `pyjob run`. Every start is a fresh process, after one that does not count
and leaves the bytecode of all modules behind, as the second start on any machine finds it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections import defaultdict
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from statistics import median

from process import (
    BETWEEN_LOOKS,
    HERE,
    JOB,
    LONGEST_START,
    Served,
    StartError,
    plain_environment,
    send,
    started,
)
from report import place, print_table, spread
from summing import PATH, PAYLOAD, check_answer

STARTS = 7
HEAVIEST = 15
NOT_OURS = frozenset({"pip", "setuptools", "wheel"})
IMPORT_TIME = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|\s*(\S+)")


def main() -> int:
    parser = argparse.ArgumentParser(description="Start time, memory, packages and imports of pyjob run.")
    parser.add_argument("--skip-install", action="store_true", help="install nothing: no count of packages")
    options = parser.parse_args()
    try:
        starts = [one_start() for _ in range(STARTS + 1)][1:]
    except StartError as error:
        sys.stderr.write(f"footprint: {error}\n")
        return 1
    print(f"Median of {STARTS} fresh processes; {place()}\n")
    rows = [
        ("seconds until Python runs", *spread([interpreter_alone() for _ in range(STARTS)], 3)),
        ("seconds until /ready is 200", *spread([seconds for seconds, _ in starts], 3)),
        ("MB resident after one call", *spread([megabytes for _, megabytes in starts], 1)),
    ]
    print_table(("", "min", "median", "max"), rows)
    print("\nHeaviest imports, milliseconds:\n")
    print_table(("module", "alone", "with what it imports"), heaviest_imports())
    if not options.skip_install:
        packages = installed_packages()
        print(f"\n{len(packages)} packages installed, {sum(packages.values()):.1f} MB without bytecode:\n")
        print_table(("package", "MB"), [(name, f"{packages[name]:.2f}") for name in sorted(packages)])
    return 0


def one_start() -> tuple[float, float]:
    """Seconds until `/ready` is 200, and megabytes after one call. Raises `StartError`."""
    port = free_port()
    run = ("-m", "pyjob", "run", str(JOB), "--host", "127.0.0.1", "--port", str(port))
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output, started(run, output) as process:
        while not ready(port):
            if process.poll() is not None or time.perf_counter() - began > LONGEST_START:
                output.seek(0)
                raise StartError(f"pyjob run did not start:\n{output.read().decode()[-2000:]}")
            time.sleep(BETWEEN_LOOKS)
        seconds = time.perf_counter() - began
        check_answer("pyjob run", *send(port, "POST", PATH, PAYLOAD))
        return seconds, Served(process.pid, port).resident_megabytes()


def free_port() -> int:
    """A port that nobody had a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def ready(port: int) -> bool:
    try:
        return send(port, "GET", "/ready")[0] == 200
    except OSError:  # nobody listens yet
        return False


def interpreter_alone() -> float:
    """Seconds that a Python process takes to do nothing."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", ""], check=True, env=plain_environment())
    return time.perf_counter() - began


def heaviest_imports() -> list[tuple[str, str, str]]:
    """The modules that `pyjob run` imports at the highest cost of their own, medians of some processes."""
    alone: dict[str, list[int]] = defaultdict(list)
    together: dict[str, list[int]] = defaultdict(list)
    for _ in range(STARTS):
        command = [sys.executable, "-X", "importtime", "-c", "import pyjob.cli"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=HERE, env=plain_environment()
        )
        for own, whole, module in IMPORT_TIME.findall(done.stderr):
            alone[module].append(int(own))
            together[module].append(int(whole))
    costs = {module: median(values) / 1000 for module, values in alone.items()}
    heaviest = sorted(costs, key=costs.__getitem__, reverse=True)[:HEAVIEST]
    return [(module, f"{costs[module]:.1f}", f"{median(together[module]) / 1000:.1f}") for module in heaviest]


def installed_packages() -> Mapping[str, float]:
    """Megabytes of every package that `pip install` of this checkout brings, in a virtual environment."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder, "checkout")
        # A copy, because a build leaves files behind in its source.
        ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "*venv*")
        shutil.copytree(HERE.parent, checkout, ignore=ignored)
        environment = Path(folder, "environment")
        venv.create(environment, with_pip=True)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-compile"]
        subprocess.run([*pip, str(checkout)], check=True)
        return {
            package.name: sum(_size(Path(str(file.locate()))) for file in package.files or ()) / 1e6
            for site_packages in environment.glob("lib/python*/site-packages")
            for package in distributions(path=[os.fspath(site_packages)])
            if package.name not in NOT_OURS
        }


def _size(file: Path) -> int:
    # Files that no installer writes without compiling are listed all the same.
    return file.stat().st_size if file.is_file() else 0


if __name__ == "__main__":
    sys.exit(main())

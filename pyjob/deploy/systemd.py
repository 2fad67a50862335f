"""A unit of systemd for a job: it runs a .pex as a user of its own, who can do little else.

For systemd 250 and later. In the unit itself, names and words are such that none needs to be quoted.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from pyjob.deploy.service import Service, stop_seconds
from pyjob.environment.environment import FILE_VARIABLE
from pyjob.errors import ManifestError, Problem
from pyjob.manifest import Manifest
from pyjob.manifest.fields import amount
from pyjob.serving.server import DEFAULT_GRACE, DEFAULT_PORT

FOLDER = "/opt/pyjob"  # where the .pex is, unless something else is said
CREDENTIALS = "/etc/pyjob"  # where the secret files are, for root alone
_LEAST_MEMORY = 2**20
_MOST_MEMORY = 2**63 - 1
_MOST_PERCENT = 100 * 1024  # more processors are no bound

_SANDBOX = """\
# Nothing but its own folder, and none that is more than it seems.
DynamicUser=yes
UMask=0077
PrivateTmp=yes
PrivateUsers=yes
ProtectSystem=strict
ProtectHome=yes
# A job that computes on a GPU needs PrivateDevices=no.
PrivateDevices=yes
ProtectProc=invisible
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
LockPersonality=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
# Not set, since compilers at run time (Numba, Torch) and ctypes write code into memory and run it:
# MemoryDenyWriteExecute=yes"""


@dataclass(frozen=True)
class Process:
    """How the job is served: ``pex`` is absolute, and as plain as ``host``.

    Instances of a template are named by their ports.
    """

    pex: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    grace: float = DEFAULT_GRACE
    drain_delay: float = 0.0
    is_template: bool = False


def default_pex(service: Service) -> str:
    """Where the .pex is, unless something else is said."""
    return f"{FOLDER}/{service.label}.pex"


def unit(service: Service, process: Process) -> str:
    """The text of the unit. Raises `ManifestError` for resources that are too little for any process."""
    parts = [
        _head(service, process),
        ["[Unit]", *_unit(service.manifest, process)],
        ["[Service]", *_service(service, process)],
        [_SANDBOX],
        ["[Install]", "WantedBy=multi-user.target"],
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(service: Service, process: Process) -> Iterator[str]:
    at, instance = ("@", f"@{process.port}") if process.is_template else ("", "")
    yield f"# /etc/systemd/system/{service.label}{at}.service, printed by `pyjob render systemd`."
    yield f"#   install -D --mode=755 job.pex {process.pex}"
    if file := service.manifest.secret_runtime_env_file:
        yield f"#   install -D --mode=600 {shlex.quote(file)} {_secrets(service)}"
    yield f"#   systemctl daemon-reload && systemctl enable --now {service.label}{instance}"


def _unit(manifest: Manifest, process: Process) -> Iterator[str]:
    instance = ", port %i" if process.is_template else ""
    yield f"Description=Job {manifest.name} {manifest.version}{instance}"
    yield "Wants=network-online.target"
    yield "After=network-online.target"
    yield "# It is started again however often it fails."
    yield "StartLimitIntervalSec=0"


def _service(service: Service, process: Process) -> Iterator[str]:
    folder = f"pyjob/{service.label}" + ("-%i" if process.is_template else "")
    options = {
        "--host": process.host,
        "--port": "%i" if process.is_template else str(process.port),
        "--workdir": f"%C/{folder}/work",
        "--grace": f"{process.grace:g}",
        "--drain-delay": f"{process.drain_delay:g}",
    }
    yield "Type=exec"
    words = [process.pex, *(f"{name} {value}" for name, value in options.items())]
    yield "# A failed start ends it, so that it is started again: nobody asks /live here."
    yield f"ExecStart={' '.join(words)} --fail-fast"
    yield "# Lines that the job prints are to be in the log at once."
    yield "Environment=PYTHONUNBUFFERED=1"
    if service.manifest.secret_runtime_env_file:
        yield "# Root alone reads the file; the job gets what is in it."
        yield f"LoadCredential=runtime.env:{_secrets(service)}"
        yield f"Environment={FILE_VARIABLE}=%d/runtime.env"
    yield "# The working directory and the unpacked packages, not in memory, and kept for the next start;"
    yield "# `systemctl clean` removes them. Libraries keep in HOME what they have fetched."
    yield f"CacheDirectory={folder}/work {folder}/temporary"
    yield f"Environment=TMPDIR=%C/{folder}/temporary HOME=%C/{folder}/work"
    yield "Restart=on-failure"
    yield "RestartSec=5s"
    yield "# SIGTERM for the server alone, so that its calls end before what they have started does."
    yield "KillMode=mixed"
    yield f"TimeoutStopSec={stop_seconds(process.grace, process.drain_delay)}s"
    yield from _resources(service.manifest)


def _resources(manifest: Manifest) -> Iterator[str]:
    memory, cpu = manifest.resources.memory_max, manifest.resources.cpu_max
    if memory:
        size = int(amount(memory))
        if size < _LEAST_MEMORY:
            raise _too_little(manifest, "memory_max", "at least 1Mi", memory)
        if size <= _MOST_MEMORY:  # else it is no bound
            yield f"MemoryMax={size}"
    if cpu:
        percent = int(amount(cpu) * 100)
        if percent < 1:
            raise _too_little(manifest, "cpu_max", "at least 10m, a hundredth of a processor", cpu)
        if percent <= _MOST_PERCENT:
            yield f"CPUQuota={percent}%"


def _too_little(manifest: Manifest, field: str, expected: str, found: str) -> ManifestError:
    return ManifestError(manifest.source, [manifest.located(Problem(f"resources.{field}", expected, found))])


def _secrets(service: Service) -> str:
    return f"{CREDENTIALS}/{service.label}.env"

"""A Dockerfile for a job, and the ignore file that keeps its secrets from the builder.

No secret is in a layer, whatever the ignore file says: the first stage has the sources and the secrets of the
build mounted while one command runs, and the second gets the .pex that it has made. What a manifest says is
written with quotes, or not at all: it can begin no instruction.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pyjob
from pyjob.deploy.service import IMAGE_USER, TEMPORARY_FOLDER, WORK_FOLDER, Service, stop_seconds
from pyjob.environment.environment import FILE_VARIABLE, SECRETS_VARIABLE
from pyjob.errors import ManifestError, Problem
from pyjob.manifest import Manifest
from pyjob.manifest.document import found, key_label
from pyjob.manifest.layers import repository_of
from pyjob.manifest.manifest import USER_IN_URL
from pyjob.serving.server import DEFAULT_PORT

WHEELHOUSE = "wheelhouse"
PLAIN_PATH = re.compile(r"(?![-/~])[-A-Za-z0-9._@+/]+")  # which Dockerfiles and shells take as it is
_EXTRAS = "asgi,build,docs,fast"  # what a build packs where it is installed
_PACKED = "/opt/pyjob/job.pex"
_SOURCES = PurePosixPath("/src")
_SECRETS = "/run/secrets/job.env"
_BUILD_ENV = "build_env"
_LABEL = re.compile("[A-Za-z0-9][-A-Za-z0-9._/]*")
_PORT = re.compile("[1-9][0-9]{0,4}")
_OPEN = re.compile(r'[\\"$]')
_ALIVE = (
    "import http.client, os, sys; port = int(os.environ.get('PORT') or {port}); "
    "job = http.client.HTTPConnection('127.0.0.1', port, timeout=4); job.request('GET', '/live'); "
    "sys.exit(job.getresponse().status != 200)"
)
_EVERYWHERE = ("**/.git", "**/.venv", "**/__pycache__", "**/.env", "**/.env.*", "!**/*.dist")


@dataclass(frozen=True)
class Sources:
    """What a Dockerfile builds from, relative to the root of the repository.

    ``folder`` is the job's, ``target`` what `pyjob build` is given. ``wheelhouse`` has all wheels that are
    needed; without one, an index has those of the requirements.
    """

    folder: PurePosixPath
    target: PurePosixPath
    wheelhouse: str = ""


def sources_of(manifest: Manifest, path: Path, wheelhouse: str) -> Sources:
    """What the image of the job at ``path`` is built from.

    Raises `ManifestError` for paths that a Dockerfile cannot take.
    """
    folder = manifest.folder.resolve()
    root = repository_of(folder, {"git": {"directory": manifest.git.directory}})
    job = PurePosixPath(folder.relative_to(root))
    target = job if path.is_dir() else job / path.name
    places = {"the job's path": str(target), "secret_build_env_file": manifest.secret_build_env_file}
    problems = [
        Problem(field, "letters, digits and -._@+/, for a Dockerfile", found(path))
        for field, path in places.items()
        if path and not PLAIN_PATH.fullmatch(path)
    ]
    if problems:
        raise ManifestError(manifest.source, [manifest.located(one) for one in problems])
    return Sources(job, target, wheelhouse)


def dockerfile_of_pex(service: Service, base: str, pex: str) -> str:
    """A Dockerfile that takes ``pex``, a file of `pyjob build` in the folder that the image is built in."""
    head = f"""\
Image of the job {service.manifest.name} {service.manifest.version}, printed by `pyjob render dockerfile`.

  pyjob build --output {pex}    (by the same version of Python as the base's)
  docker build --tag {_tag(service)} .

{_pinning(base)}"""
    return _text(_comment(head), _final(service, base, f"COPY --chmod=0555 {pex} {_PACKED}"))


def dockerfile_of_sources(service: Service, base: str, sources: Sources) -> str:
    """A Dockerfile that builds the job from its sources, in a stage of its own."""
    stage = _build_stage(service.manifest, sources)
    copy = f"COPY --from=build --chmod=0555 /job.pex {_PACKED}"
    last = _final(service, base, copy, 'GIT_VERSION="${REVISION}"')  # there was no git to ask
    return _text(_comment(_how_to_build(service, base, sources)), [f"FROM {base} AS build", *stage], last)


def ignore_file_of_pex(pex: str) -> str:
    """The .dockerignore beside: the builder gets that file and no other."""
    return _text(["# The image needs this one file.", "*", f"!{pex}"])


def ignore_file_of_sources(manifest: Manifest, sources: Sources) -> str:
    """The .dockerignore at the root of the repository: no secrets, and no history, which may hold some."""
    secret = (manifest.secret_build_env_file, manifest.secret_runtime_env_file)
    names = dict.fromkeys(str(sources.folder / name) for name in secret if name)
    lines = ["# Of no use in an image, or secret.", *_EVERYWHERE, "**/*.pex", "Dockerfile*", ".dockerignore"]
    return _text([*lines, *map(_ignored, names)])


def label_remarks(manifest: Manifest) -> Iterator[str]:
    """Which labels of the manifest an image cannot have."""
    for name, value in manifest.labels.items():
        if not _LABEL.fullmatch(name) or _plain(value) is None:
            what = (
                "not in the image, whose labels are text of one line, and letters, digits, -._/ their names"
            )
            yield f"{manifest.source}: labels.{key_label(name)}: {what}"


def _text(*blocks: Iterable[str]) -> str:
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _comment(text: str) -> list[str]:
    return [f"# {line}".rstrip() for line in text.splitlines()]


def _pinning(base: str) -> str:
    digest = "" if "@" in base else "@sha256:..."
    return f"""\
The base is pinned by its release. Pinned by its content, it stays the same until you print this again:
  docker buildx imagetools inspect {base}
  pyjob render dockerfile --base-image {base}{digest} ..."""


def _how_to_build(service: Service, base: str, sources: Sources) -> str:
    manifest = service.manifest
    job = "" if sources.target == PurePosixPath() else f" {sources.target}"
    wheels = f"{sources.wheelhouse or WHEELHOUSE} '/path/to/pyjob[{_EXTRAS}]'"
    if sources.wheelhouse and manifest.jobtype_extra.requirements_path:
        wheels += f" -r {shlex.quote(str(sources.folder / manifest.jobtype_extra.requirements_path))}"
    option = f" --wheelhouse {sources.wheelhouse}" if sources.wheelhouse else ""
    secret = str(sources.folder / manifest.secret_build_env_file)
    mounted = f" --secret id={_BUILD_ENV},src={secret}" if manifest.secret_build_env_file else ""
    return f"""\
Image of the job {manifest.name} {manifest.version}, printed by `pyjob render dockerfile`.
At the root of its repository, with the same version of Python as the base's for the wheels:

  pip wheel --wheel-dir {wheels}
  pyjob render dockerfile{job}{option} > Dockerfile
  pyjob render dockerfile{job} --ignore-file > .dockerignore
  docker build --tag {_tag(service)}{mounted} --build-arg REVISION="$(git rev-parse HEAD)" .

{_pinning(base)}"""


def _tag(service: Service) -> str:
    return f"{service.label}:{service.manifest.version.replace('+', '-')}"


def _build_stage(manifest: Manifest, sources: Sources) -> list[str]:
    """The stage of which only the .pex is left."""
    wheels = f"--mount=type=bind,source={sources.wheelhouse or WHEELHOUSE},target=/{WHEELHOUSE}"
    mounts = [
        f"--mount=type=bind,target={_SOURCES},rw",
        f"--mount=type=tmpfs,target={_SOURCES}/{sources.wheelhouse or WHEELHOUSE}",
    ]
    if manifest.secret_build_env_file:
        secret = _SOURCES / sources.folder / manifest.secret_build_env_file
        mounts.append(f"--mount=type=secret,id={_BUILD_ENV},target={secret},required=true")
    build = f"pyjob build {_SOURCES / sources.target} --output /job.pex"
    if sources.wheelhouse:
        mounts.append(wheels)
        build += f" --wheelhouse /{WHEELHOUSE}"
    packages = ["build-essential", "git", *manifest.system_dependencies]
    compiles = manifest.jobtype_extra.requirements_path and not sources.wheelhouse
    return [
        *(_packages("For requirements that are compiled, or come from git.", packages) if compiles else []),
        "# pyjob itself comes from the wheelhouse: on PyPI, another project has its name.",
        f"RUN {wheels} \\",
        f"    pip install --no-cache-dir --no-index --find-links=/{WHEELHOUSE} \\",
        f"        'pyjob[{_EXTRAS}]=={pyjob.__version__}'",
        "# The sources are mounted, not copied, and so are secrets: no layer has them.",
        f"RUN {_continued(mounts)} \\",
        f"    {build}",
    ]


def _final(service: Service, base: str, copy: str, *variables: str) -> list[str]:
    """The stage that is the image."""
    manifest = service.manifest
    dependencies = manifest.system_dependencies
    port = _port(manifest)
    health = json.dumps(["python", "-I", "-c", _ALIVE.format(port=port)])
    return [
        f"FROM {base}",
        *(_packages("system_dependencies of the manifest.", dependencies) if dependencies else []),
        "# Not root, and a folder that it may write to: the .pex unpacks the job there.",
        f"RUN groupadd --gid {IMAGE_USER} job \\",
        f"    && useradd --no-log-init --uid {IMAGE_USER} --gid job --home-dir {WORK_FOLDER} job \\",
        f"    && install --directory --owner=job --group=job {WORK_FOLDER}",
        copy,
        "",
        'ARG REVISION=""',
        f"LABEL {_continued(_pair(*pair) for pair in _labels(manifest).items())} \\",
        '    org.opencontainers.image.revision="${REVISION}"',
        "",
        "# Lines that the job prints are to be in the log at once.",
        f"ENV {_continued(['PYTHONUNBUFFERED=1', f'TMPDIR={TEMPORARY_FOLDER}', *variables])}",
        *(_comment(_run_time_secrets(manifest)) if manifest.secret_runtime_env_file else []),
        "",
        f"WORKDIR {WORK_FOLDER}",
        f"USER {IMAGE_USER}:{IMAGE_USER}",
        f"EXPOSE {port}",
        f"# Calls may take a while to end: docker stop -t {stop_seconds()}",
        "STOPSIGNAL SIGTERM",
        f"HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD {health}",
        "",
        "# No shell in between, so that signals reach the server. What follows the image are options of",
        "# `pyjob run`, or another command: check, call, version.",
        f'ENTRYPOINT ["{_PACKED}"]',
        f'CMD ["--workdir", "{WORK_FOLDER}"]',
    ]


def _port(manifest: Manifest) -> int:
    """Where the job listens unless it is told otherwise when it runs."""
    port = manifest.runtime_env.get("PORT", "")
    return int(port) if _PORT.fullmatch(port) else DEFAULT_PORT


def _packages(reason: str, names: Iterable[str]) -> list[str]:
    """Installs packages of Debian, in whatever version the release has with its security updates.

    `satisfy` takes what a package's Depends field does, so that a version is written in parentheses.
    """
    wanted = [_dependency(name) for name in dict.fromkeys(names)]
    return [
        f"# {reason}",
        "RUN mkdir -p /usr/share/man/man1 \\",  # packages of Java end in an error without it
        "    && apt-get update \\",
        "    && DEBIAN_FRONTEND=noninteractive apt-get satisfy --yes --no-install-recommends \\",
        *(f"        {one} \\" for one in wanted),
        "    && rm -rf /var/lib/apt/lists/*",
    ]


def _dependency(package: str) -> str:
    name, _, version = package.partition("=")
    return shlex.quote(f"{name} (= {version})" if version else name)


def _run_time_secrets(manifest: Manifest) -> str:
    return f"""\
Secrets come when it runs: as a file like {manifest.secret_runtime_env_file} that user {IMAGE_USER} can read,
  --mount type=bind,readonly,src=FILE,dst={_SECRETS} --env {FILE_VARIABLE}={_SECRETS}
or as variables of the container, with --env {SECRETS_VARIABLE}=environment beside them."""


def _labels(manifest: Manifest) -> Mapping[str, str]:
    """Those of the manifest, over those of the OCI's image specification (annotations)."""
    own = {
        "org.opencontainers.image.title": manifest.name,
        "org.opencontainers.image.version": manifest.version,
    }
    if manifest.git.remote:
        own["org.opencontainers.image.source"] = USER_IN_URL.sub("//", manifest.git.remote)
    given = {name: _plain(value) for name, value in manifest.labels.items() if _LABEL.fullmatch(name)}
    return own | {name: value for name, value in given.items() if value is not None}


def _plain(value: object) -> str | None:
    """A label's value as one line of text, if it is one."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value) if isinstance(value, (str, int, float)) else "\n"
    return text if text.isprintable() else None


def _pair(name: str, value: str) -> str:
    """In double quotes, backslash, quote and dollar have a meaning for Dockerfiles."""
    quoted = _OPEN.sub(r"\\\g<0>", value)
    return f'{name}="{quoted}"'


def _ignored(path: str) -> str:
    """A path as a pattern for itself, and no comment or exception."""
    return "/" + re.sub(r"[\\*?\[\]]", r"\\\g<0>", path)


def _continued(words: Iterable[str]) -> str:
    return " \\\n    ".join(words)

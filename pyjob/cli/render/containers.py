"""`pyjob render dockerfile` and `systemd`: a job in an image, and as a unit of a machine."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pyjob.cli import arguments
from pyjob.deploy.base_image import base_image
from pyjob.deploy.dockerfile import (
    PLAIN_PATH,
    WHEELHOUSE,
    dockerfile_of_pex,
    dockerfile_of_sources,
    ignore_file_of_pex,
    ignore_file_of_sources,
    label_remarks,
    sources_of,
)
from pyjob.deploy.service import service_of
from pyjob.deploy.systemd import FOLDER, Process, default_pex, unit
from pyjob.serving.server import DEFAULT_GRACE, DEFAULT_PORT

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """\
  pyjob render dockerfile --pex job.pex > Dockerfile        an image of what `pyjob build` has made
  pyjob render dockerfile > Dockerfile                      an image that is built from the sources
  pyjob render systemd > house-price.service                a unit that runs /opt/pyjob/house-price.pex
"""
DOCKERFILE_EXAMPLES = f"""examples:
  pyjob render dockerfile --pex job.pex > Dockerfile
  pyjob render dockerfile --pex job.pex --ignore-file > .dockerignore
  docker build --tag house-price:1.0.0 .

  pyjob render dockerfile > Dockerfile                      with pyjob's wheels in ./{WHEELHOUSE}
  pyjob render dockerfile --wheelhouse {WHEELHOUSE} > Dockerfile
                                                            all wheels are there, no index is asked

What is printed begins with the commands that use it.
"""
SYSTEMD_EXAMPLES = """examples:
  pyjob render systemd > house-price.service
  pyjob render systemd --template > house-price@.service    systemctl enable --now house-price@7001

What is printed begins with the commands that use it.
"""
_HOST = re.compile("[A-Za-z0-9:][-A-Za-z0-9._:]*")
# Of the registry, where there is one, a port may be part.
_IMAGE = re.compile(
    "(?:[A-Za-z0-9][-A-Za-z0-9.]*(?::[0-9]{1,5})?/)?[a-z0-9][-a-z0-9._/]*"
    "(?::(?!latest(?:@|$))[A-Za-z0-9_][-A-Za-z0-9._]*)?(?:@sha256:[0-9a-f]{64})?"
)


def add_to(kinds: Commands) -> None:
    """Declare them and their arguments."""
    _add_dockerfile(kinds)
    _add_systemd(kinds)


def _add_dockerfile(kinds: Commands) -> None:
    parser = kinds.add_parser(
        "dockerfile",
        help="a Dockerfile for a job",
        description="Print a Dockerfile for a job: of a .pex that is there, or one that builds it.",
        epilog=DOCKERFILE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "path",
        nargs="?",
        default=Path(),
        type=Path,
        metavar="PATH",
        help="the job's folder, its job.yaml or a Python file (default: this folder)",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--pex",
        type=_inner_path,
        metavar="FILE",
        help="the image gets this file of `pyjob build`, relative to the folder that the image is built in",
    )
    source.add_argument(
        "--wheelhouse",
        type=_inner_path,
        metavar="DIR",
        help="all wheels come from this folder, relative to the repository's root, and nothing from an index "
        f"(default: pyjob's own from {WHEELHOUSE}, those of the requirements from an index)",
    )
    parser.add_argument(
        "--base-image",
        type=_image,
        metavar="IMAGE",
        help="in place of the official image of Python by the manifest's python_version and debian_version: "
        "from a registry of your own, or pinned by its digest",
    )
    parser.add_argument(
        "--ignore-file", action="store_true", help="print the .dockerignore that belongs to it instead"
    )
    parser.set_defaults(run=_print_dockerfile)


def _print_dockerfile(options: argparse.Namespace) -> int:
    service = service_of(options.path, None, cwd=Path.cwd())
    manifest = service.manifest
    sources = None if options.pex else sources_of(manifest, options.path, options.wheelhouse or "")
    if options.ignore_file:
        text = ignore_file_of_sources(manifest, sources) if sources else ignore_file_of_pex(options.pex)
    else:
        base = options.base_image or base_image(manifest)
        text = (
            dockerfile_of_sources(service, base, sources)
            if sources
            else dockerfile_of_pex(service, base, options.pex)
        )
        _tell((*service.remarks, *label_remarks(manifest)))
    sys.stdout.write(text)
    return 0


def _add_systemd(kinds: Commands) -> None:
    parser = kinds.add_parser(
        "systemd",
        help="a unit that runs a job on a machine",
        description="Print a unit of systemd (250 or later) that runs a .pex, under a user of its own.",
        epilog=SYSTEMD_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_job(parser, parser)
    parser.add_argument(
        "--pex",
        type=_absolute,
        metavar="FILE",
        help=f"where the .pex is on that machine (default: {FOLDER}/NAME.pex)",
    )
    parser.add_argument(
        "--host",
        type=_host,
        default=Process.host,
        help="address to listen on (default: %(default)s, for a proxy on the same machine)",
    )
    port = parser.add_mutually_exclusive_group()
    port.add_argument(
        "--port", type=arguments.unprivileged_port, default=DEFAULT_PORT, help="port (default: %(default)s)"
    )
    port.add_argument(
        "--template",
        action="store_true",
        help="a unit for several processes, each by the name of its port: NAME@7001, NAME@7002",
    )
    parser.add_argument(
        "--grace",
        type=arguments.seconds,
        default=DEFAULT_GRACE,
        metavar="SECONDS",
        help="how long calls may go on when it is stopped: as long as your longest (default: %(default)g)",
    )
    parser.add_argument(
        "--drain-delay",
        type=arguments.seconds,
        default=Process.drain_delay,
        metavar="SECONDS",
        help="how long it goes on serving before that, until nobody is sent to it any more (default: none)",
    )
    parser.set_defaults(run=_print_unit)


def _print_unit(options: argparse.Namespace) -> int:
    service = service_of(options.path, options.manifest, cwd=Path.cwd())
    process = Process(
        pex=options.pex or default_pex(service),
        host=options.host,
        port=options.port,
        grace=options.grace,
        drain_delay=options.drain_delay,
        is_template=options.template,
    )
    text = unit(service, process)
    _tell(service.remarks)
    sys.stdout.write(text)
    return 0


def _tell(remarks: Iterable[str]) -> None:
    for remark in remarks:
        sys.stderr.write(f"pyjob: warning: {remark}\n")


def _inner_path(text: str) -> str:
    """A path that stays inside the folder that an image is built in."""
    if not PLAIN_PATH.fullmatch(text) or text != os.path.normpath(text) or text.startswith(".."):
        raise argparse.ArgumentTypeError(
            f"expected the path of something inside the folder, of letters, digits and -._@+/, found {text!r}"
        )
    return text


def _image(text: str) -> str:
    """The name of an image that is pinned by a tag, or by its digest."""
    last = text.rpartition("/")[2]
    if not _IMAGE.fullmatch(text) or not set(last) & set(":@"):
        raise argparse.ArgumentTypeError(
            f"expected IMAGE:TAG or IMAGE@sha256:..., and not the tag `latest`, found {text!r}"
        )
    return text


def _absolute(text: str) -> str:
    """A path that systemd takes as it is."""
    if not text.startswith("/") or not PLAIN_PATH.fullmatch(text.lstrip("/")):
        raise argparse.ArgumentTypeError(
            f"expected a path that begins with /, of letters, digits and -._@+/, found {text!r}"
        )
    return text


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected a name or an address, found {text!r}")
    return text

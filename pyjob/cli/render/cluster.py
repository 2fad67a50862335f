"""`pyjob render kubernetes` and `nginx`: a job in a cluster, and several processes behind one address."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from pyjob.cli import arguments
from pyjob.deploy.kubernetes import Cluster, documents
from pyjob.deploy.nginx import Front, configuration
from pyjob.deploy.service import DRAIN_DELAY, service_of
from pyjob.serving.server import DEFAULT_GRACE, DEFAULT_PORT

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """\
  pyjob render kubernetes --image registry.example.com/house:1.0.0 > house.yaml
  pyjob render nginx --server-name jobs.example.com --upstream 127.0.0.1:7000 --upstream 127.0.0.1:7001
"""
_OBJECT = re.compile("[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_HOST_NAME = re.compile(r"(?!.{254})[A-Za-z0-9]+(-+[A-Za-z0-9]+)*(\.[A-Za-z0-9]+(-+[A-Za-z0-9]+)*)*")
# In a configuration of nginx all others need quotes, or mean something.
_PLAIN_PATH = re.compile(r"/[-A-Za-z0-9._~+/]+")
_PLAIN_PREFIX = re.compile(r"(?:/[-A-Za-z0-9_~+][-A-Za-z0-9._~+]*)+/?")
_IMAGE = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._:/@]*")


def add_to(kinds: Commands) -> None:
    """Declare them and their arguments."""
    _add_kubernetes(kinds)
    _add_nginx(kinds)


def _add_kubernetes(kinds: Commands) -> None:
    parser = kinds.add_parser(
        "kubernetes",
        help="Deployment, Service, ConfigMap and PodDisruptionBudget, as YAML",
        description="Print what kubectl applies to run a job in a cluster, as YAML documents: Deployment, "
        "Service, a ConfigMap for runtime_env, a PodDisruptionBudget where there are several replicas.",
    )
    arguments.add_job(parser, parser)
    parser.add_argument(
        "--image",
        type=_image,
        required=True,
        metavar="IMAGE",
        help="the job's image, as `pyjob render dockerfile` makes it",
    )
    parser.add_argument(
        "--name",
        type=_object,
        metavar="NAME",
        help="name of the objects (default: name and version of the job, so that versions live side by side; "
        "under a name of its own, the next version replaces this one)",
    )
    parser.add_argument(
        "--namespace", type=_object, metavar="NAME", help="namespace (default: that of kubectl)"
    )
    parser.add_argument(
        "--secret",
        type=_object,
        metavar="NAME",
        help="the Secret with the secret variables (default: name of the job and -secret, where the manifest "
        "names a secret_runtime_env_file)",
    )
    parser.add_argument(
        "--port",
        type=arguments.given_port,
        default=DEFAULT_PORT,
        metavar="PORT",
        help="port of container and Service (default: %(default)s)",
    )
    parser.add_argument(
        "--grace",
        type=arguments.seconds,
        default=DEFAULT_GRACE,
        metavar="SECONDS",
        help="how long calls may go on when a pod ends: as long as your longest (default: %(default)g)",
    )
    parser.add_argument(
        "--drain-delay",
        type=arguments.seconds,
        default=DRAIN_DELAY,
        metavar="SECONDS",
        help="how long it goes on serving before that, until nobody is sent to it any more (default: "
        "%(default)g)",
    )
    parser.set_defaults(run=_print_kubernetes)


def _print_kubernetes(options: argparse.Namespace) -> int:
    service = service_of(options.path, options.manifest, cwd=Path.cwd())
    cluster = Cluster(
        image=options.image,
        port=options.port,
        grace=options.grace,
        drain_delay=options.drain_delay,
        name=options.name or "",
        namespace=options.namespace or "",
        secret=options.secret or "",
    )
    text, remarks = documents(service, cluster)
    _warn(remarks)
    sys.stdout.write(text)
    return 0


def _add_nginx(kinds: Commands) -> None:
    parser = kinds.add_parser(
        "nginx",
        help="nginx with TLS in front of the job's processes",
        description="Print a configuration of nginx with TLS in front of one or several processes of the "
        "job, as a file for /etc/nginx/conf.d.",
    )
    arguments.add_job(parser, parser)
    parser.add_argument(
        "--server-name", type=_host_name, required=True, metavar="NAME", help="the name that callers ask for"
    )
    parser.add_argument(
        "--upstream",
        dest="upstreams",
        action="append",
        type=arguments.address,
        metavar="HOST:PORT",
        help=f"a process of the job (repeatable; default: 127.0.0.1:{DEFAULT_PORT})",
    )
    parser.add_argument(
        "--prefix",
        type=_plain_prefix,
        metavar="PREFIX",
        help="serve it below this path, such as /ml, which nginx takes off; its processes need "
        "`pyjob run --url-prefix` then",
    )
    parser.add_argument(
        "--certificate",
        type=_plain_path,
        metavar="FILE",
        help="certificate and those between it and the root (default: /etc/ssl/NAME.crt)",
    )
    parser.add_argument(
        "--certificate-key", type=_plain_path, metavar="FILE", help="its key (default: /etc/ssl/NAME.key)"
    )
    parser.set_defaults(run=_print_nginx)


def _print_nginx(options: argparse.Namespace) -> int:
    service = service_of(options.path, options.manifest, cwd=Path.cwd())
    front = Front(
        server_name=options.server_name,
        upstreams=options.upstreams or [f"127.0.0.1:{DEFAULT_PORT}"],
        prefix=options.prefix or "",
        certificate=options.certificate or f"/etc/ssl/{options.server_name}.crt",
        key=options.certificate_key or f"/etc/ssl/{options.server_name}.key",
    )
    _warn(service.remarks)
    sys.stdout.write(configuration(service, front))
    return 0


def _warn(remarks: Iterable[str]) -> None:
    for remark in remarks:
        sys.stderr.write(f"pyjob: warning: {remark}\n")


def _host_name(text: str) -> str:
    if not _HOST_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected a name such as jobs.example.com, found {text!r}")
    return text


def _plain_path(text: str) -> str:
    if not _PLAIN_PATH.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f'expected a path of letters, digits and "-._~+/" that starts with "/", found {text!r}'
        )
    return text


def _plain_prefix(text: str) -> str:
    if not _PLAIN_PREFIX.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f'expected a path such as /ml, of letters, digits and "-._~+", found {text!r}'
        )
    return arguments.prefix(text)


def _object(text: str) -> str:
    """The name of an object of Kubernetes; that of a Service is a label of RFC 1035."""
    if not _OBJECT.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"expected at most 63 lower case letters, digits and dashes, a letter first, found {text!r}"
        )
    return text


def _image(text: str) -> str:
    if not _IMAGE.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"expected an image such as registry.example.com/house:1.0.0, found {text!r}"
        )
    return text

"""nginx in front of the processes of a job: TLS, a name, perhaps a prefix; one configuration for all of them.

It stands inside of nginx's `http`, as files in /etc/nginx/conf.d do. Directives are those of nginx 1.18 and
later. docs/scale.md says what each is for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pyjob.deploy.service import Service
from pyjob.manifest import JobtypeExtra

# A process closes a connection on which nothing has come for 60 s. nginx must have let go of it before: a
# call that it sends at that very moment is lost.
IDLE_SECONDS = 30
IDLE_CONNECTIONS = 32
# For a machine that is off: one that is on and refuses says so at once.
CONNECT_SECONDS = 1
# How long a call may run, where the manifest does not say when one hangs.
LONGEST_CALL_SECONDS = 3600

LOCATION = """\
    location {prefix}/ {{
        proxy_pass http://{upstream}{path};
        client_max_body_size {most_bytes};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_buffering off;
        proxy_connect_timeout {connect}s;
        proxy_read_timeout {silence}s;
        proxy_next_upstream error timeout;
    }}
"""
# Else nginx would show the files of its own folder.
NOTHING_ELSE = """\
    location / {
        return 404;
    }
"""
SERVERS = """\
server {{
    listen 80;
    server_name {name};
    return 308 https://{name}$request_uri;
}}

server {{
    listen 443 ssl;
    server_name {name};
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    merge_slashes on;

{locations}}}
"""


@dataclass(frozen=True)
class Front:
    """What is chosen for nginx. All of it stands in the configuration as it is: who reads it has checked it.

    ``upstreams`` are HOST:PORT, ``prefix`` is what nginx takes off, ``certificate`` and ``key`` are files.
    """

    server_name: str
    upstreams: Sequence[str]
    prefix: str
    certificate: str
    key: str


def configuration(service: Service, front: Front) -> str:
    """The configuration: the group of processes, and the two servers."""
    manifest, upstream = service.manifest, service.versioned_label
    location = LOCATION.format(
        prefix=front.prefix,
        upstream=upstream,
        path="/" if front.prefix else "",  # without one, the target goes on as it came
        most_bytes=manifest.jobtype_extra.max_body_size,
        connect=CONNECT_SECONDS,
        silence=longest_silence(manifest.jobtype_extra),
    )
    servers = SERVERS.format(
        name=front.server_name,
        certificate=front.certificate,
        key=front.key,
        locations=location + (f"\n{NOTHING_ELSE}" if front.prefix else ""),
    )
    options = "--trusted-proxy ADDRESS-OF-NGINX" + (f" --url-prefix {front.prefix}" if front.prefix else "")
    head = [
        f"{manifest.name} {manifest.version} behind nginx. Why it is so: docs/scale.md of pyjob.",
        f"Its processes run with {options}",
    ]
    comments = "".join(f"# {line}\n" for line in head)
    return f"{comments}{_group(upstream, front.upstreams)}\n{servers}"


def longest_silence(extra: JobtypeExtra) -> int:
    """Seconds in which nothing may come of an answer: the call waits, then runs."""
    return math.ceil(extra.queue_timeout or 0) + math.ceil(extra.stuck_after or LONGEST_CALL_SECONDS)


def _group(name: str, upstreams: Sequence[str]) -> str:
    lines = [
        f"zone {name} 64k;",  # what nginx's own processes know of ours, they share
        "least_conn;",
        # One that refuses is asked again for the next call: it may be back, and nobody else may be there.
        *(f"server {upstream} max_fails=0;" for upstream in upstreams),
        f"keepalive {IDLE_CONNECTIONS};",
        f"keepalive_timeout {IDLE_SECONDS}s;",
    ]
    return "".join((f"upstream {name} {{\n", *(f"    {line}\n" for line in lines), "}\n"))

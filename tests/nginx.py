"""Debian's nginx, with a configuration from the documents and a certificate of our own."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.documents import REPO, blocks_of
from tests.raw_http import RawClient
from tests.servers import PATIENCE, held_port

# Debian has it where only an administrator looks.
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
OPENSSL = shutil.which("openssl")

# What Debian's own configuration has around ours, and no path outside of a folder of our own.
AROUND = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {server}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """One that runs: where it listens, and the certificate that it shows."""

    port: int
    certificate: Path
    folder: Path

    def client(self) -> RawClient:
        """A client that checks the certificate."""
        context = ssl.create_default_context(cafile=str(self.certificate))

        def connect() -> socket.socket:
            plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
            return context.wrap_socket(plain, server_hostname="127.0.0.1")

        return RawClient(connect, host=f"127.0.0.1:{self.port}")


def needs_nginx() -> pytest.MarkDecorator:
    """Skips a test where nginx or openssl is missing."""
    missing = [name for name, path in (("nginx", NGINX), ("openssl", OPENSSL)) if path is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {' and '.join(missing)}")


def documented(start: str) -> str:
    """The configuration in the documents that starts with ``start``."""
    [block] = [one for one in blocks_of(REPO / "docs" / "serving.md") if one.text.startswith(start)]
    return block.text


@contextmanager
def nginx(configuration: str, folder: Path, ports: Mapping[int, int]) -> Iterator[Nginx]:
    """nginx by ``configuration``, with ``ports`` of jobs in place of those that it has."""
    assert NGINX is not None
    certificate, key = _certificate(folder)
    for written, real in ports.items():
        configuration = configuration.replace(f"127.0.0.1:{written}", f"127.0.0.1:{real}")
    with held_port() as port:
        for pattern, text in (
            (r"\blisten \S+ ssl;", f"listen 127.0.0.1:{port} ssl reuseport;"),
            (r"\bssl_certificate \S+;", f"ssl_certificate {certificate};"),
            (r"\bssl_certificate_key \S+;", f"ssl_certificate_key {key};"),
        ):
            configuration, count = re.subn(pattern, text, configuration)
            assert count == 1, pattern
        file = folder / "nginx.conf"
        file.write_text(AROUND.format(folder=folder, server=configuration))
        process = subprocess.Popen(
            [NGINX, "-p", str(folder), "-c", str(file), "-e", str(folder / "error.log")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(int(port), process)
            yield Nginx(int(port), certificate, folder)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            assert process.stdout is not None
            raise AssertionError(f"nginx ended: {process.stdout.read().decode()}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise AssertionError("nginx does not listen")


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine that signs itself, and its key."""
    assert OPENSSL is not None
    certificate, key = folder / "jobs.crt", folder / "jobs.key"
    command = [OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += [
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=IP:127.0.0.1,DNS:localhost",
    ]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key

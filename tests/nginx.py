"""Debian's nginx, with a configuration of `pyjob render nginx` and a certificate of our own."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
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
user root;
worker_processes 1;
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
    """One that runs: where it listens (``plain_port`` without TLS), and the certificate that it shows."""

    port: int
    plain_port: int
    certificate: Path
    key: Path
    folder: Path
    process: subprocess.Popen[bytes]

    def reload(self, configuration: str) -> None:
        """Another configuration; returns once its worker is there and the old one takes nobody any more."""
        before = self._workers()
        _write(configuration, self.folder, self.port, self.plain_port, self.certificate, self.key)
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            serving = self._workers()
            if serving and not serving & before:
                return
            time.sleep(0.01)
        raise AssertionError(f"no new worker: {(self.folder / 'error.log').read_text()}")

    def _workers(self) -> set[int]:
        """Those that are not on their way out."""
        parent = self.process.pid
        children = map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split())
        return {child for child in children if b"shutting down" not in _command_of(child)}

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


def rendered(job: Path, *options: str) -> str:
    """What `pyjob render nginx` prints for ``job``."""
    command = [sys.executable, "-m", "pyjob", "render", "nginx", str(job), "--server-name", "localhost"]
    return subprocess.run(
        [*command, *options], check=True, capture_output=True, text=True, timeout=PATIENCE
    ).stdout


def with_location(configuration: str, location: str) -> str:
    """``configuration`` with another location in its server."""
    before, first, after = configuration.partition("    location / {")
    assert first
    return f"{before}{location}\n{first}{after}"


def documented(start: str) -> str:
    """The configuration in the documents that starts with ``start``."""
    [block] = [one for one in blocks_of(REPO / "docs" / "serving.md") if one.text.startswith(start)]
    return block.text


@contextmanager
def nginx(configuration: str, folder: Path) -> Iterator[Nginx]:
    """nginx by ``configuration``, on ports of its own."""
    assert NGINX is not None
    certificate, key = _certificate(folder)
    with held_port() as port, held_port() as plain_port:
        file = _write(configuration, folder, int(port), int(plain_port), certificate, key)
        process = subprocess.Popen(
            [NGINX, "-p", str(folder), "-c", str(file), "-e", str(folder / "error.log")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_for(int(port), process)
            yield Nginx(int(port), int(plain_port), certificate, key, folder, process)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def faults_of(configuration: str, folder: Path) -> str:
    """What ``nginx -t`` says against ``configuration``; nothing where that is all right."""
    assert NGINX is not None
    file = _write(configuration, folder, 65001, 65002, *_certificate(folder))
    command = [NGINX, "-t", "-q", "-p", str(folder), "-c", str(file), "-e", "stderr"]
    tested = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    return tested.stdout + tested.stderr


def _write(
    configuration: str, folder: Path, port: int, plain_port: int, certificate: Path, key: Path
) -> Path:
    """The file that nginx reads: ``configuration`` with addresses and files of the test."""
    for pattern, text, least in (
        (r"\blisten \S+ ssl;", f"listen 127.0.0.1:{port} ssl reuseport;", 1),
        (r"\blisten 80;", f"listen 127.0.0.1:{plain_port} reuseport;", 0),
        (r"\bssl_certificate \S+;", f"ssl_certificate {certificate};", 1),
        (r"\bssl_certificate_key \S+;", f"ssl_certificate_key {key};", 1),
    ):
        configuration, count = re.subn(pattern, text, configuration)
        assert least <= count <= 1, pattern
    file = folder / "nginx.conf"
    file.write_text(AROUND.format(folder=folder, server=configuration))
    return file


def _command_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b"shutting down"  # it is gone


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

"""The example with private requirements, built from a repository that asks for a login."""

from __future__ import annotations

import os
import shutil
import sys
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.built import built, everything_in, job_in, pyjob_build
from tests.distributions import source
from tests.git_server import basic, git_server
from tests.repositories import needs_git
from tests.servers import ask, started
from tests.watched import command_lines, recording

pytest.importorskip("pex")
pytest.importorskip("pip")
pytestmark = needs_git

EXAMPLE = Path(__file__).parents[1] / "examples" / "private_requirements"
USER, TOKEN = "harbour", "planted/token of 30 characters"
TRACES = [TOKEN, quote(TOKEN), quote(TOKEN, safe=""), b64encode(f"{USER}:{TOKEN}".encode()).decode()]
LIBRARY = Path(__file__).parent / "libraries" / "harbour_units.py"


def test_it_is_built_and_serves_and_the_token_is_nowhere(tmp_path: Path) -> None:
    job, cache = tmp_path / "job", tmp_path / "cache"
    shutil.copytree(EXAMPLE, job)
    cache.mkdir()
    with git_server(tmp_path / "served") as server, command_lines() as seen:
        server.doors = {"/git/": (USER, TOKEN)}
        server.add_repository(
            "harbour-units.git", source(tmp_path / "units", "harbour-units", "1.0", code=LIBRARY.read_text())
        )
        requirements = job / "requirements.txt"
        text = requirements.read_text()
        assert "https://${GIT_USER}:${GIT_TOKEN}@git.example.com/team/" in text
        text = text.replace("https://", "http://").replace("git.example.com/team", f"{server.address}/git")
        requirements.write_text(text)
        secret = (job / ".env.build.dist").read_text()
        assert "GIT_USER = harbour" in secret
        (job / ".env.build").write_text(secret.replace("not-a-real-token", quote(TOKEN, safe="")))
        recorded = recording(tmp_path / "recorded", "git")
        environ = {
            "PATH": f"{recorded}{os.pathsep}{os.environ['PATH']}",
            "PIP_CACHE_DIR": str(cache),
            "PIP_CONFIG_FILE": os.devnull,
            "HOME": str(tmp_path),
        }
        ended = pyjob_build(job, "--no-docs", "-o", "ferry.pex", cwd=tmp_path, env=environ)
        assert ended.returncode == 0, ended.stderr
        assert {one.authorization for one in server.asked if one.status == 200} == {basic(USER, TOKEN)}
    told = {
        "output": f"{ended.stdout}{ended.stderr}",
        "command lines": "\n".join(seen),
        "commands of git": (tmp_path / "recorded" / "git").read_text(),
        **{name: content.decode(errors="replace") for name, content in everything_in(tmp_path / "ferry.pex")},
    }
    assert "/git/harbour-units.git" in told["commands of git"]
    assert any(name.endswith("harbour_units.py") for name in told)
    for place, content in told.items():
        assert [trace for trace in TRACES if trace in content] == [], place
    assert list(cache.iterdir()) == [] and list((tmp_path / "tmp").iterdir()) == []
    command = [sys.executable, str(tmp_path / "ferry.pex"), "--host", "127.0.0.1", "--port", "0"]
    with started(command, cwd=tmp_path) as running:
        running.wait_until("/ready", 200)
        assert ask(running, "POST", "/perform", b'{"kilometres": 18.52, "minutes": 30}')[2] == 20.0


def test_the_login_of_a_repository_is_on_no_command_line_of_git(tmp_path: Path) -> None:
    job_in(tmp_path / "sources")
    with git_server(tmp_path / "served") as server:
        server.doors = {"/git/": (USER, TOKEN)}
        commit = server.add_repository("doubler.git", tmp_path / "sources")
        recorded = recording(tmp_path / "recorded", "git")
        environ = {"PATH": f"{recorded}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
        url = f"http://{USER}:{quote(TOKEN, safe='')}@{server.address}/git/doubler.git"
        summary = built(url, "--no-docs", "-o", "doubler.pex", cwd=tmp_path, env=environ)
        assert summary["commit"] == commit
        wrong = pyjob_build(url.replace("planted", "plucked"), cwd=tmp_path, env=environ)
    arguments = (tmp_path / "recorded" / "git").read_text()
    assert f"http://{server.address}/git/doubler.git" in arguments
    assert wrong.returncode == 1
    assert "git clone failed: Authentication failed" in wrong.stderr
    for trace in (*TRACES, "plucked"):
        assert trace not in arguments
        assert trace not in wrong.stderr
        assert not [
            name for name, content in everything_in(tmp_path / "doubler.pex") if trace.encode() in content
        ]

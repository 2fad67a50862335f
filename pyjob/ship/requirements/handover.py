"""Logins handed to pip and git in files that only this user may read."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from netrc import NetrcParseError, netrc
from pathlib import Path
from urllib.parse import quote

from pyjob.ship.requirements.login import Login

_PRIVATE = 0o600


def write_privately(file: Path, text: str) -> None:
    """Write a new file that nobody else can read."""
    file.touch(_PRIVATE, exist_ok=False)
    file.write_text(text, encoding="utf-8")


def netrc_variables(logins: Iterable[Login], folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables by which pip finds ``logins``, one a host, beside those of the user's own netrc file."""
    hosts = _own_hosts(environ)
    hosts.update({login.host: (login.user, "", login.password) for login in logins})
    if not hosts:
        return {}
    lines = [f"{_machine(host)} {_entry(*entry)}\n" for host, entry in hosts.items()]
    file = folder / "netrc"
    write_privately(file, "".join(lines))
    return {"NETRC": str(file)}


def git_variables(logins: Iterable[Login], folder: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables by which git (2.31 and later) finds ``logins``; it asks nobody for others."""
    variables = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": environ.get("GIT_ASKPASS", "")}
    origins: dict[str, list[Login]] = {}
    for login in logins:
        origins.setdefault(login.origin, []).append(login)
    if not origins:
        return variables
    file = folder / "credentials"
    write_privately(file, "".join(_credential(login) for those in origins.values() for login in those))
    settings: list[tuple[str, str]] = []
    for origin, those in origins.items():
        # By the host alone, submodules have the login, too; where there are several, the path decides.
        by_path = "true" if len({login.words for login in those}) > 1 else "false"
        settings += [
            (f"credential.{origin}.helper", ""),  # none but the next
            (f"credential.{origin}.helper", f"store --file={shlex.quote(str(file))}"),
            (f"credential.{origin}.useHttpPath", by_path),
        ]
    first = environ.get("GIT_CONFIG_COUNT", "")
    start = int(first) if first.isdecimal() else 0
    for number, (key, value) in enumerate(settings, start):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables | {"GIT_CONFIG_COUNT": str(start + len(settings))}


def _credential(login: Login) -> str:
    scheme, _, host = login.origin.partition("://")
    return f"{scheme}://{login.encoded}@{host}/{quote(login.path)}\n"


def _own_hosts(environ: Mapping[str, str]) -> dict[str, tuple[str, str | None, str | None]]:
    """What the user's own file has, as pip would find it; nothing where pip could not read it."""
    if "NETRC" in environ:
        files = [Path(environ["NETRC"])]
    else:
        files = [Path(environ["HOME"], name) for name in (".netrc", "_netrc")] if environ.get("HOME") else []
    for file in files:
        if file.is_file():
            with suppress(NetrcParseError, OSError, UnicodeError):
                return dict(netrc(file).hosts)
            break
    return {}


def _machine(host: str) -> str:
    return host if host == "default" else f"machine {_token(host)}"


def _entry(user: str, account: str | None, password: str | None) -> str:
    return f"login {_token(user)} account {_token(account or '')} password {_token(password or '')}"


def _token(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

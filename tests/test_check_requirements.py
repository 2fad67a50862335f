"""Requirements files: every line that pip takes, every line that it does not, and what is not installed."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

import pytest

from pyjob.check.finding import Finding, Severity
from pyjob.check.requirements import check_requirements
from pyjob.manifest import manifest_of

ERROR, WARNING, ADVICE = Severity.ERROR, Severity.WARNING, Severity.ADVICE
HAVE = "PyYAML"  # which pyjob needs itself

Check = Callable[..., list[Finding]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Check a requirements file of this text, in a job of these further files."""

    def check(text: str | bytes, files: Mapping[str, str] | None = None) -> list[Finding]:
        data = text.encode() if isinstance(text, str) else text
        (tmp_path / "requirements.txt").write_bytes(data)
        for name, content in (files or {}).items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(content)
        return checked(tmp_path)

    return check


def checked(folder: Path, path: str = "requirements.txt") -> list[Finding]:
    fields = {"jobtype_extra": {"requirements_path": path}}
    return check_requirements(manifest_of(fields, name="job", folder=folder))


@pytest.fixture(params=["with packaging", "without packaging"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the library packaging is there."""
    if request.param == "without packaging":
        hide_packaging(monkeypatch)
        return False
    pytest.importorskip("packaging")
    return True


def hide_packaging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)


def problems(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is not ADVICE]


def test_a_manifest_without_requirements_has_none_to_check(tmp_path: Path) -> None:
    assert check_requirements(manifest_of({}, name="job", folder=tmp_path)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n  \n# a comment\n   # another\n",
        f"{HAVE}\n",
        f"{HAVE}>=6  # why\n",
        f"{HAVE} >= 6, != 6.0.2\n",
        f"{HAVE} (>=6)\n",
        f"{HAVE}[extra,more]>=6\n",
        f"{HAVE.lower()}>=6\r\nWerkzeug\r\n",
        f"\ufeff{HAVE}\n",
        f"{HAVE} \\\n  >= \\\n  6\n",
        f"{HAVE}>=6 \\\n    --hash=sha256:aaaa \\\n    --hash=sha256:bbbb\n",
        f"{HAVE}>=6; python_version >= '3'\n",
        f"{HAVE}>=6 --global-option='x y' --config-settings a=b\n",
        "--index-url https://example.com/simple\n-i https://example.com/simple\n",
        "--extra-index-url=https://example.com/simple\n--trusted-host example.com\n--no-index\n",
        "-f wheels\n--find-links=wheels\n--no-binary :all:\n--only-binary=numpy\n--prefer-binary\n--pre\n",
        "--require-hashes\n--use-feature fast-deps\n",
        "git+https://example.com/team/thing.git@v1\n",
        "git+ssh://git@example.com/team/thing.git\nhg+https://example.com/x\nfile:///src/x\n",
        "https://example.com/thing-1.0.tar.gz\n",
        "thing @ https://example.com/thing.zip ; python_version < '3'\n",
        "-e .\n--editable ./part\n-e git+https://example.com/x.git\n",
        "./part\n.\n.[extra]\n../other/part\n/opt/wheels/x-1.0-py3-none-any.whl\nx-1.0-py3-none-any.whl\n",
        "${NAME}==1.0\nthing==${VERSION}\n-r ${PLACE}/all.txt\n-c https://example.com/constraints.txt\n",
        "https://${USER}:${TOKEN}@example.com/thing.zip\n",
    ],
)
def test_what_pip_takes_is_fine(check: Check, either_way: bool, text: str) -> None:
    assert problems(check(text)) == []


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("flask = 3\n", 1),
        ("# why\n\nflask>=\n", 3),
        ("flask>3 <4\n", 1),
        ("this is a sentence\n", 1),
        ("import flask\n", 1),
        ("[flask]\n", 1),
        ("git@example.com:team/thing.git\n", 1),
        ("thing @ ./thing\n", 1),
        ("gti+https://example.com/thing.git\n", 1),
        ("flask==1 \\\n  =2\nnumpy\n", 1),
        ("--upgrade\n", 1),
        ("--index-url\n", 1),
        ("- flask\n", 1),
        ("flask --pre numpy\n", 1),
        ("flask --hash='open\n", 1),
        ("f" * 3000, 1),
        ("flask " + "--pre " * 10_000, 1),
    ],
)
def test_what_pip_does_not_take_is_an_error_with_its_line(
    check: Check, either_way: bool, text: str, line: int
) -> None:
    errors = [finding for finding in check(text) if finding.severity is ERROR]
    assert [(error.file, error.line) for error in errors] == [("requirements.txt", line)]


def test_many_wrong_lines_are_twenty_errors_and_a_count(check: Check) -> None:
    errors = check("= 1\n" * 50)
    assert len(errors) == 21
    assert "30 more" in errors[-1].message


def test_what_is_not_installed_is_one_warning_with_the_command(check: Check) -> None:
    pytest.importorskip("packaging")
    version = metadata.version(HAVE)
    text = f"no-such-thing>=1\n{HAVE}>={version}\n{HAVE}<{version}\ngit+https://h/x.git#egg=neither\n"
    (warning,) = check(text + "nor-this @ https://example.com/x.zip\nno-such-thing>=1\n")
    assert (warning.severity, warning.file) == (WARNING, "requirements.txt")
    assert "no-such-thing>=1, " in warning.message
    assert f"{HAVE}<{version} ({version} is installed)" in warning.message
    assert warning.message.endswith("neither, nor-this")
    assert warning.remedy == "pip install -r requirements.txt"


def test_a_requirement_for_other_machines_is_not_missed(check: Check) -> None:
    pytest.importorskip("packaging")
    assert check("no-such-thing; sys_platform == 'none'\nno-such-thing; extra == 'x'\n") == []


def test_without_packaging_names_are_compared_and_advice_says_so(
    check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_packaging(monkeypatch)
    lacking, advice = check(f"no-such-thing>=1\n{HAVE}>=999\nno-such; sys_platform == 'none'\n")
    assert lacking.message == "not installed here: no-such-thing"
    assert (advice.severity, advice.remedy) == (ADVICE, "pip install packaging")


def test_constraints_ask_for_nothing(check: Check) -> None:
    assert check("-c most.txt\n", {"most.txt": "no-such-thing==1\n"}) == []


def test_included_files_are_read_relative_to_those_that_include_them(check: Check) -> None:
    files = {"more/base.txt": "-r ../last.txt\n", "last.txt": f"{HAVE}\n\nno such = 1\n"}
    (error,) = check("-r more/base.txt\n--requirement=more/base.txt\n", files)
    assert (error.severity, error.file, error.line) == (ERROR, "last.txt", 3)


def test_files_that_include_one_another_come_to_an_end(check: Check) -> None:
    assert check("-r b.txt\n", {"b.txt": "-r requirements.txt\n-c b.txt\n-r b.txt\n"}) == []


def test_an_included_file_that_is_missing_is_an_error_where_it_is_named(check: Check) -> None:
    (error,) = check(f"{HAVE}\n-r gone.txt\n")
    assert (error.severity, error.file, error.line) == (ERROR, "requirements.txt", 2)
    assert "gone.txt" in error.message


def test_a_file_elsewhere_in_the_repository_is_named_from_the_jobs_folder(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "all.txt").write_text("= 1\n")
    (error,) = checked(tmp_path / "job", "../all.txt")
    assert (error.file, error.line) == ("../all.txt", 1)


@pytest.mark.parametrize("line", ["-r ../outside.txt", "-c ../outside.txt", "-r link.txt"])
def test_a_file_outside_of_the_repository_is_not_read(tmp_path: Path, line: str) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    (tmp_path / "outside.txt").write_text("root:planted:20228\n")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "requirements.txt").write_text(f"{line}\n")
    (error,) = checked(folder)
    assert "expected a file of the repository" in error.message
    assert "planted" not in f"{error.message} {error.remedy}"


@pytest.mark.parametrize("include", [True, False])
def test_the_secret_file_of_a_job_is_no_requirements_file(tmp_path: Path, include: bool) -> None:
    (tmp_path / ".env").write_text('TOKEN = "planted planted"\n')
    (tmp_path / "requirements.txt").write_text("-r .env\n")
    extra = {"requirements_path": "requirements.txt" if include else ".env"}
    document = {"secret_runtime_env_file": ".env", "jobtype_extra": extra}
    (error,) = check_requirements(manifest_of(document, name="job", folder=tmp_path))
    assert "a secret file of the manifest" in error.message
    assert "planted" not in f"{error.message} {error.remedy}"


def test_what_is_no_requirements_file_by_its_name_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("planted text of any kind\n")
    (error,) = checked(tmp_path, "notes")
    assert error.line == 1
    assert "planted" not in error.message


@pytest.mark.parametrize(
    "text",
    [
        "= https://user:pa55word@example.com/x\n",
        "--bogus https://user:pa55word@example.com/x\n",
        "--index-url 'https://user:pa55word@example.com\n",
        "two words user:pa55word@example.com\n",
        "thing @ https://user:pa55word@example.com/x.zip\n",
        "git+https://user:pa55word@example.com/x.git#egg=no-such-thing\n",
        "-r https://user:pa55word@example.com/x.txt extra=\n",
        "x = ${SECRET}\n",
    ],
)
def test_no_message_has_what_may_be_a_password(
    check: Check, either_way: bool, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("SECRET", "pa55word")
    assert "pa55word" not in str(check(text))
    assert "user" not in str(check(text))


TOKEN = "ghp_0123456789abcdefghij"


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://me:planted@example.com/simple",
        "https://me:${PLANTED}-and-more@example.com/x.whl",
        f"git+https://{TOKEN}@example.com/x.git",
        f"-e git+https://{TOKEN}:@example.com/x.git#egg=x",
        "--extra-index-url=https://a.example/ -f https://:planted@b.example/",
        "hg+ssh://me:planted@example.com/x",
    ],
)
def test_a_login_that_is_written_out_is_an_error(check: Check, line: str) -> None:
    [error] = [one for one in check(f"{HAVE}\n{line}\n") if one.severity is ERROR]
    assert error.line == 2
    assert "expected a login by ${NAME}" in error.message


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://${ME}:${PLANTED}@example.com/simple",
        "--index-url https://me:${PLANTED}@example.com/simple",
        "git+https://${PLANTED}@example.com/x.git",
        "git+ssh://git@example.com/x.git",
        "--index-url https://oauth2accesstoken@example.com/simple",  # whose password a keyring has
        f"https://example.com/@{TOKEN}:x@/x.whl",
        "PyYAML  # https://me:planted@example.com",
    ],
)
def test_a_login_by_variables_and_a_mere_user_are_none(check: Check, line: str) -> None:
    assert [one for one in check(f"{line}\n") if one.severity is ERROR] == []


def test_a_line_cannot_forge_another_one(check: Check) -> None:
    (error,) = check("x = \x1b[31m1\n")
    assert "\x1b" not in error.message


@pytest.mark.parametrize("kind", ["missing", "folder", "FIFO", "loop", "unreadable", "bytes", "large"])
def test_a_file_that_cannot_be_read_is_one_error(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "requirements.txt"
    match kind:
        case "folder":
            file.mkdir()
        case "FIFO":
            os.mkfifo(file)
        case "loop":
            file.symlink_to(file)
        case "unreadable":
            file.touch(mode=0o000)
            if os.access(file, os.R_OK):
                pytest.skip("root reads everything")
        case "bytes":
            file.write_bytes(b"# fine\n\xff\xfe\n")
        case "large":
            file.write_bytes(b"flask\n" * 400_000)
    (error,) = checked(tmp_path)
    assert (error.severity, error.file) == (ERROR, "requirements.txt")
    assert error.line == (2 if kind == "bytes" else None)
    assert "jobtype_extra.requirements_path" in error.remedy


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(f"no-such-thing-{number}" for number in range(60_000)),
        "a \\\n" * 250_000,
        " " * 1_000_000 + "a",
        "-r x" * 250_000,
        ("a" + " " * 1900 + "b\n") * 500,
        ("a (" + ">= 1 ," * 300 + "\n") * 500,
        "a --hash='" + "x" * 1_000_000,
    ],
    ids=["names", "continued", "blanks", "options", "blanks inside", "versions", "quote"],
)
def test_a_hostile_file_does_not_take_long(check: Check, either_way: bool, text: str) -> None:
    began = time.process_time()
    check(text)
    assert time.process_time() - began < 10  # some take minutes where it is done carelessly

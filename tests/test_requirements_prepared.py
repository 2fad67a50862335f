"""Requirements files made ready for pip: variables filled in, logins in files of their own."""

from __future__ import annotations

import netrc
import stat
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest

from pyjob.environment.build import build_environment
from pyjob.errors import BuildError, ManifestError
from pyjob.manifest import Manifest, manifest_of
from pyjob.ship.requirements.prepared import Prepared, prepared

Prepare = Callable[..., Prepared]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """Make the requirements of a job ready, with these further files and variables."""

    def prepare(
        text: str,
        *,
        files: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        inherited: Mapping[str, str] | None = None,
        wheelhouse: Path | None = None,
        name: str = "requirements.txt",
        **extra: object,
    ) -> Prepared:
        manifest = job(tmp_path / "job", {name: text, **(files or {})}, secrets, name, **extra)
        environment = build_environment(manifest, inherited or {}, cwd=manifest.folder)
        folder = tmp_path / "private"
        folder.mkdir(mode=0o700)
        return prepared(manifest, environment, folder, wheelhouse=wheelhouse)

    return prepare


def job(
    folder: Path, files: Mapping[str, str], secrets: Mapping[str, str] | None, name: str, **extra: object
) -> Manifest:
    fields: dict[str, Any] = {"name": "job", "jobtype_extra": {"requirements_path": name, **extra}}
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    if secrets is not None:
        fields["secret_build_env_file"] = ".env.build"
        (folder / ".env.build").write_text("".join(f"{key}='{value}'\n" for key, value in secrets.items()))
    return manifest_of(fields, name="job", folder=folder)


def copy_of(ready: Prepared) -> str:
    """The file that pip reads."""
    assert ready.file is not None
    return ready.file.read_text()


def problems_of(error: pytest.ExceptionInfo[ManifestError]) -> list[str]:
    return str(error.value).splitlines()


def netrc_of(ready: Prepared) -> dict[str, tuple[str, str]]:
    """Logins by host, as pip finds them."""
    if "NETRC" not in ready.variables:
        return {}
    hosts = netrc.netrc(ready.variables["NETRC"]).hosts
    return {host: (user, password or "") for host, (user, _, password) in hosts.items()}


def git_of(ready: Prepared) -> list[tuple[str, str]]:
    """What git is told to have in its configuration."""
    count = int(ready.variables.get("GIT_CONFIG_COUNT", "0"))
    return [
        (ready.variables[f"GIT_CONFIG_KEY_{number}"], ready.variables[f"GIT_CONFIG_VALUE_{number}"])
        for number in range(count)
    ]


def credentials_of(ready: Prepared) -> list[str]:
    return (ready.folder / "credentials").read_text().splitlines()


def test_variables_are_filled_in_as_pip_does(prepare: Prepare) -> None:
    text = "one==${ONE}\n./${two}/$ONE\ntwo ; python_version > '${ONE}'\n"
    ready = prepare(text, inherited={"ONE": "1.0", "two": "no"})
    assert copy_of(ready) == "one==1.0\n./${two}/$ONE\ntwo ; python_version > '1.0'\n"


def test_variables_come_from_the_secret_file_then_build_env_then_the_environment(tmp_path: Path) -> None:
    manifest = job(tmp_path, {"requirements.txt": ""}, {"A": "secret", "B": "${C}!"}, "requirements.txt")
    manifest = manifest_of(
        {
            "name": "job",
            "secret_build_env_file": ".env.build",
            "build_env": {"A": "build", "C": "build"},
        },
        name="job",
        folder=tmp_path,
    )
    (tmp_path / ".env.build").write_text("A=secret\nB=${C}!\n")
    environment = build_environment(manifest, {"A": "old", "C": "old", "D": "old"}, cwd=tmp_path)
    assert environment.variables == {"A": "secret", "B": "build!", "C": "build", "D": "old"}
    assert environment.secret == {"A", "B"}
    assert environment.mask("secret build!") == "*** ***"
    assert environment.origins == {"A": ".env.build", "B": ".env.build", "C": "build_env"}


def test_a_missing_secret_build_file_is_named_with_its_template(tmp_path: Path) -> None:
    (tmp_path / ".env.build.dist").write_text("TOKEN=\n")
    fields = {"name": "job", "secret_build_env_file": ".env.build"}
    with pytest.raises(ManifestError) as error:
        build_environment(manifest_of(fields, name="job", folder=tmp_path), {}, cwd=tmp_path)
    assert "secret_build_env_file: expected the file .env.build, found nothing" in str(error.value)
    assert "copy .env.build.dist to .env.build and fill it in" in str(error.value)


def test_every_variable_that_is_not_set_is_named_with_file_and_line(prepare: Prepare) -> None:
    text = "-r more.txt\nlib @ git+https://${USER_}:${TOKEN}@example.com/lib.git\n"
    with pytest.raises(ManifestError) as error:
        prepare(text, files={"more.txt": "\n\na==${NONE}\n"}, secrets={"USER_": "planted", "TOKEN": ""})
    expected = "expected a variable that is set (in build_env or the secret build file), found"
    assert problems_of(error) == [
        f"requirements.txt:2: {expected} ${{TOKEN}}, which is empty",
        f"more.txt:3: {expected} ${{NONE}}, which is not set",
    ]
    assert "planted" not in str(error.value)


@pytest.mark.parametrize("value", ["a\nb", "a\u2028b", "a # b", "a #b", "a\\", "${OTHER}", "a\rb"])
def test_a_value_that_would_make_another_line_of_it_is_refused(prepare: Prepare, value: str) -> None:
    with pytest.raises(ManifestError) as error:
        prepare("one==${ONE}\n", inherited={"ONE": value, "OTHER": "planted"})
    assert "requirements.txt:1: expected variables whose values are a part of a line" in str(error.value)
    assert "planted" not in str(error.value)


@pytest.mark.parametrize("value", ["pl/anted", "pl?anted", "pl#anted", "pl anted", 'pl"anted'])
def test_a_password_that_would_end_early_in_a_url_is_told_how_to_be_written(
    prepare: Prepare, value: str
) -> None:
    with pytest.raises(ManifestError) as error:
        prepare("lib @ https://me:${TOKEN}@example.com/lib.whl\n", secrets={"TOKEN": value})
    (problem,) = problems_of(error)
    assert "expected the value of ${TOKEN} percent-encoded, as in URLs (%2F for a slash)" in problem
    assert "anted" not in problem


@pytest.mark.parametrize(
    ("login", "user", "password"),
    [
        ("user:planted", "user", "planted"),
        ("planted", "planted", ""),
        ("x-access-token:planted", "x-access-token", "planted"),
        (":planted", "", "planted"),
        ("us%40er:pl%2Fan%3Ated%22%5C%20", "us@er", 'pl/an:ted"\\ '),
        ("user:pl@nted", "user", "pl@nted"),
        ("us@example.org:planted", "us@example.org", "planted"),
        ("user:%23planted", "user", "#planted"),
    ],
)
@pytest.mark.parametrize(
    "line",
    [
        "lib @ https://LOGIN@example.com:8443/files/lib-1-py3-none-any.whl#sha256=00 ; python_version > '3'",
        "https://LOGIN@example.com:8443/files/lib-1-py3-none-any.whl",
        "--index-url https://LOGIN@example.com:8443/simple",
        "--index-url=https://LOGIN@example.com:8443/simple",
        "-i https://LOGIN@example.com:8443/simple",
        "--extra-index-url https://LOGIN@EXAMPLE.com:8443/simple",
        "--find-links https://LOGIN@example.com:8443/files",
        "-c https://LOGIN@example.com:8443/constraints.txt",
    ],
)
def test_pip_finds_logins_by_host(prepare: Prepare, line: str, login: str, user: str, password: str) -> None:
    ready = prepare(line.replace("LOGIN", login) + "\n")
    assert netrc_of(ready) == {"example.com": (user, password)}
    copy = copy_of(ready)
    assert "://example.com:8443/" in copy.lower()
    assert "planted" not in copy and "@example" not in copy.lower()
    assert ready.is_secret
    assert "planted" not in ready.mask(f"{user}:{password} {login}") or password != "planted"


def test_git_finds_logins_by_host(prepare: Prepare) -> None:
    ready = prepare(
        "lib @ git+https://me:pl%2Fanted@example.com/team/lib.git@v1.0#egg=lib\n"
        "-e git+https://me:pl%2Fanted@example.com/team/other.git#egg=other\n"
    )
    assert copy_of(ready) == (
        "lib @ git+https://example.com/team/lib.git@v1.0#egg=lib\n"
        "git+https://example.com/team/other.git#egg=other\n"
    )
    assert credentials_of(ready) == [
        "https://me:pl%2Fanted@example.com/team/lib.git",
        "https://me:pl%2Fanted@example.com/team/other.git",
    ]
    key = "credential.https://example.com"
    helper = f"store --file={ready.folder / 'credentials'}"
    assert git_of(ready) == [
        (f"{key}.helper", ""),
        (f"{key}.helper", helper),
        (f"{key}.useHttpPath", "false"),
    ]
    assert (ready.variables["GIT_TERMINAL_PROMPT"], ready.variables["GIT_ASKPASS"]) == ("0", "")
    assert netrc_of(ready) == {}


def test_two_logins_for_repositories_of_one_host_are_told_apart_by_path(prepare: Prepare) -> None:
    ready = prepare(
        "git+https://one:planted1@example.com/a.git#egg=a\ngit+https://two:planted2@example.com/b.git#egg=b\n"
    )
    assert ("credential.https://example.com.useHttpPath", "true") in git_of(ready)
    assert credentials_of(ready) == [
        "https://one:planted1@example.com/a.git",
        "https://two:planted2@example.com/b.git",
    ]


def test_what_git_was_told_before_stays(prepare: Prepare) -> None:
    inherited = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.sslVerify",
        "GIT_CONFIG_VALUE_0": "true",
        "GIT_ASKPASS": "/bin/ask",
    }
    ready = prepare("git+https://me:planted@example.com/a.git#egg=a\n", inherited=inherited)
    assert git_of(ready)[0] == ("http.sslVerify", "true")
    assert len(git_of(ready)) == 4
    assert ready.variables["GIT_ASKPASS"] == "/bin/ask"


def test_direct_urls_of_one_host_with_two_logins_keep_theirs_in_the_private_file(prepare: Prepare) -> None:
    one = "a @ https://one:planted1@example.com/a-1-py3-none-any.whl"
    two = "b @ https://two:planted2@example.com/b-1-py3-none-any.whl"
    ready = prepare(f"-i https://me:planted0@example.com/simple\n{one}\n{two}\n")
    assert copy_of(ready) == f"-i https://example.com/simple\n{one}\n{two}\n"
    assert netrc_of(ready) == {"example.com": ("me", "planted0")}
    assert ready.mask("planted0 planted1 planted2") == "*** *** ***"


def test_two_logins_for_indexes_of_one_host_are_an_error(prepare: Prepare) -> None:
    text = (
        "-i https://one:planted1@example.com/one/simple\n"
        "--extra-index-url https://two:planted2@example.com/two/simple\n"
    )
    with pytest.raises(ManifestError) as error:
        prepare(text)
    assert problems_of(error) == [
        "requirements.txt:2: expected one login for all indexes on example.com, since pip tells logins apart "
        "by host, found another one"
    ]


def test_logins_in_the_settings_of_pip_are_handed_over_too(prepare: Prepare) -> None:
    inherited = {"PIP_EXTRA_INDEX_URL": "https://a:planted1@one.example/simple https://two.example/simple"}
    inherited["PIP_PYPI_URL"] = "https://c:planted3@four.example"  # an older name of the same option
    ready = prepare(
        "lib\n", inherited=inherited, secrets={"PIP_INDEX_URL": "https://b:planted2@three.example"}
    )
    assert ready.variables["PIP_EXTRA_INDEX_URL"] == "https://one.example/simple https://two.example/simple"
    assert ready.variables["PIP_INDEX_URL"] == "https://three.example"
    assert ready.variables["PIP_PYPI_URL"] == "https://four.example"
    assert netrc_of(ready) == {
        "one.example": ("a", "planted1"),
        "three.example": ("b", "planted2"),
        "four.example": ("c", "planted3"),
    }


def test_entries_of_the_users_own_netrc_stay_where_no_url_says_otherwise(
    prepare: Prepare, tmp_path: Path
) -> None:
    own = tmp_path / "home" / ".netrc"
    own.parent.mkdir()
    own.write_text(
        'machine other.example login me password "own planted"\n'
        "machine example.com login old password old\ndefault login anybody password nothing\n"
    )
    ready = prepare("-i https://me:planted@example.com/simple\n", inherited={"HOME": str(own.parent)})
    assert netrc_of(ready) == {
        "other.example": ("me", "own planted"),
        "example.com": ("me", "planted"),
        "default": ("anybody", "nothing"),
    }


def test_a_netrc_of_the_user_that_nobody_could_read_is_no_error(prepare: Prepare, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine example.com nonsense\n")
    inherited = {"NETRC": str(tmp_path / "netrc")}
    ready = prepare("-i https://me:planted@example.com/simple\n", inherited=inherited)
    assert netrc_of(ready) == {"example.com": ("me", "planted")}


@pytest.mark.parametrize(
    "line",
    [
        "lib @ hg+https://me:planted@example.com/lib",
        "lib @ svn+https://me:planted@example.com/lib",
        "lib @ git+ssh://me:planted@example.com/lib.git",
        "lib @ ftp://me:planted@example.com/lib-1.tar.gz",
    ],
)
def test_a_password_that_could_not_be_hidden_is_an_error(prepare: Prepare, line: str) -> None:
    with pytest.raises(ManifestError) as error:
        prepare(f"{line}\n")
    (problem,) = problems_of(error)
    assert (
        "requirements.txt:1: expected a password in URLs of http, https, git+http and git+https alone"
        in problem
    )
    assert "planted" not in problem


def test_a_login_with_blanks_or_quotes_is_an_error(prepare: Prepare) -> None:
    with pytest.raises(ManifestError) as error:
        prepare("-i 'https://me:planted word@example.com/simple'\n")
    (problem,) = problems_of(error)
    assert "expected a user and a password of a URL percent-encoded" in problem
    assert "planted" not in problem


@pytest.mark.parametrize(
    "line",
    [
        "-i https://example.com/${TOKEN}/simple",
        "--find-links https://example.com/${TOKEN}",
        "lib @ git+https://me:x@example.com/${TOKEN}/lib.git",
        "lib @ git+ssh://git@${TOKEN}/lib.git",
    ],
)
def test_a_secret_that_would_be_seen_on_a_command_line_is_an_error(prepare: Prepare, line: str) -> None:
    with pytest.raises(ManifestError) as error:
        prepare(f"{line}\n", secrets={"TOKEN": "planted"})
    (problem,) = problems_of(error)
    assert "expected secrets as user or password of a URL alone" in problem
    assert problem.endswith("found ${TOKEN} elsewhere")


def test_a_value_that_was_filled_in_is_in_no_message(prepare: Prepare) -> None:
    with pytest.raises(ManifestError) as error:
        prepare("lib==${TOKEN}\nlib --hash='${TOKEN}\n", secrets={"TOKEN": "planted"})
    assert problems_of(error) == [
        "requirements.txt:1: expected a requirement such as flask>=3, a URL or a path, found 'lib==${TOKEN}'",
        'requirements.txt:2: expected quotes in pairs, found "lib --hash=\'${TOKEN}"',
    ]


def test_a_secret_may_be_a_whole_url(prepare: Prepare) -> None:
    url = "https://me:planted@example.com/simple"
    ready = prepare("--extra-index-url ${INDEX}\n", secrets={"INDEX": url})
    assert copy_of(ready) == "--extra-index-url https://example.com/simple\n"
    assert netrc_of(ready) == {"example.com": ("me", "planted")}


def test_what_a_secret_is_may_stand_in_a_line_by_chance(prepare: Prepare) -> None:
    line = "lib @ git+https://${GIT_USER}:${TOKEN}@example.com/planted-team/lib.git\n"
    ready = prepare(line, secrets={"GIT_USER": "planted-team", "TOKEN": "planted"})
    assert copy_of(ready) == "lib @ git+https://example.com/planted-team/lib.git\n"


def test_a_secret_in_the_url_of_a_file_is_none_that_others_see(prepare: Prepare) -> None:
    text = "lib @ https://example.com/lib-1-py3-none-any.whl?token=${TOKEN}\n"
    ready = prepare(text, secrets={"TOKEN": "planted"})
    assert copy_of(ready) == text.replace("${TOKEN}", "planted")
    assert ready.mask("planted") == "***"


def test_a_secret_is_masked_however_pip_encodes_it(prepare: Prepare) -> None:
    ready = prepare("lib\n", secrets={"TOKEN": "%70lanted%2fword"})
    for told in ("%70lanted%2fword", "planted%2Fword", "planted/word"):
        assert ready.mask(f"/lib?token={told}&x=1") == "/lib?token=***&x=1"


def test_users_without_a_password_of_other_programs_stay(prepare: Prepare) -> None:
    text = "lib @ git+ssh://git@example.com/lib.git\n"
    ready = prepare(text)
    assert (copy_of(ready), ready.is_secret) == (text, False)


def test_includes_and_paths_lead_to_the_same_files(prepare: Prepare) -> None:
    ready = prepare(
        "-r dev/more.txt -c limits.txt\n./libs/here\n-e .\n--find-links wheels\n--find-links nowhere\n",
        name="deploy/requirements.txt",
        files={
            "deploy/dev/more.txt": "\n\nmore\n-r ../requirements.txt\n",
            "deploy/limits.txt": "more<2\n",
            "deploy/wheels/x": "",
        },
    )
    assert ready.file is not None
    lines = copy_of(ready).splitlines()
    more, limits = (Path(line.split()[1]) for line in lines[:2])
    assert (lines[0].split()[0], lines[1].split()[0]) == ("--requirement", "--constraint")
    assert (more.name, more.read_text()) == ("more.txt", "\n\nmore\n")  # and no circle
    assert limits.read_text() == "more<2\n"
    wheels = ready.cwd / "deploy" / "wheels"
    assert lines[2:] == ["./libs/here", ".", f"--find-links {wheels}", "--find-links nowhere"]
    assert ready.cwd.name == "job"
    assert ready.shown == {
        str(ready.file): "deploy/requirements.txt",
        str(more): "deploy/dev/more.txt",
        str(limits): "deploy/limits.txt",
    }


def test_a_file_that_includes_itself_through_others_is_read_once(prepare: Prepare) -> None:
    files = {"a.txt": "a\n-r b.txt\n", "b.txt": "b\n-r a.txt\n-r requirements.txt\n"}
    ready = prepare("-r a.txt\n-r b.txt\n", files=files)
    copies = sorted(Path(path).read_text() for path in ready.shown)
    assert sum(text.count("--requirement") for text in copies) == 2


def test_a_continued_line_stays_at_its_number(prepare: Prepare) -> None:
    ready = prepare("# a comment\none \\\n  >=1  # why\n\ntwo\n")
    assert copy_of(ready) == "\none   >=1\n\n\ntwo\n"


def test_what_is_worked_on_where_it_is_is_packed_as_it_is(prepare: Prepare) -> None:
    ready = prepare("-e .\n-e here[all]\n--editable=libs/here\n-e git+file:///lib.git#egg=lib\n-e /here\n")
    assert copy_of(ready).splitlines() == [
        *(".", "./here[all]", "./libs/here", "git+file:///lib.git#egg=lib", "/here")
    ]


def test_faults_of_all_files_are_told_together(prepare: Prepare) -> None:
    with pytest.raises(ManifestError) as error:
        prepare("flask = 3\n-r none.txt\n--nonsense\n")
    assert [line.partition(" expected")[0] for line in problems_of(error)] == [
        "requirements.txt:1:",
        "requirements.txt:3:",
        "requirements.txt:2: none.txt:",
    ]


@pytest.mark.parametrize("name", ["none.txt", "../outside.txt", ".env.build"])
def test_a_file_that_is_none_of_the_jobs_requirements_is_an_error(
    prepare: Prepare, tmp_path: Path, name: str
) -> None:
    (tmp_path / "outside.txt").write_text("lib\n")
    with pytest.raises(ManifestError) as error:
        prepare(
            "",
            name="requirements.txt",
            files={"x.txt": f"-r {name}\n"},
            secrets={"A": "planted"},
            requirements_path=name,
        )
    assert "jobtype_extra.requirements_path: expected" in str(error.value)
    assert "planted" not in str(error.value)


def test_a_job_without_requirements_has_nothing_to_read(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    manifest = manifest_of({"name": "job"}, name="job", folder=tmp_path)
    ready = prepared(manifest, build_environment(manifest, {"A": "1"}, cwd=tmp_path), tmp_path / "private")
    assert (ready.file, ready.is_secret, ready.has_hashes, ready.names) == (None, False, False, frozenset())
    assert list((tmp_path / "private").iterdir()) == []


def test_what_the_job_asks_for_is_known_by_name(prepare: Prepare) -> None:
    ready = prepare(
        "Flask_Login>=1\nnumpy ; python_version < '3'\n-r more.txt\n-c limits.txt\n"
        "git+https://example.com/x.git#egg=My.Lib\n",
        files={"more.txt": "extra\n", "limits.txt": "limited<2\n"},
    )
    assert ready.names == {"flask-login", "extra", "my-lib"}


@pytest.mark.parametrize(
    "line", ["a==1 --hash=sha256:" + "0" * 64, "--require-hashes", "a==1 \\\n  --hash=sha256:" + "0" * 64]
)
def test_whether_pip_asks_for_hashes_is_known(prepare: Prepare, line: str) -> None:
    assert prepare(f"{line}\n").has_hashes


def test_a_file_with_the_hashes_of_a_large_job_is_read(prepare: Prepare) -> None:
    hashes = "".join(f" \\\n    --hash=sha256:{number:064x}" for number in range(100))
    text = "".join(f"lib{number}==1.0{hashes}\n" for number in range(40))
    assert len(text) > 300_000
    ready = prepare(text)
    assert (len(ready.names), ready.has_hashes) == (40, True)


def test_nobody_else_may_read_what_holds_logins(prepare: Prepare) -> None:
    ready = prepare(
        "-i https://me:planted@a.example/\ngit+https://me:planted@b.example/c.git#egg=c\n-r x.txt\n",
        files={"x.txt": "x\n"},
    )
    paths = list(ready.folder.rglob("*"))
    assert len(paths) == 6
    for path in paths:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path
    assert "planted" not in repr(ready)


# Without a network.


def test_without_a_network_urls_become_names(prepare: Prepare, tmp_path: Path) -> None:
    ready = prepare(
        "--index-url https://${USER_}:${TOKEN}@example.com/simple\n"
        "--extra-index-url https://example.com/simple\n"
        "--find-links https://example.com/files\n--find-links house\n"
        "lib @ git+https://${USER_}:${TOKEN}@example.com/lib.git@v1\n"
        "lib-two[extra] @ https://example.com/lib_two-2.0-py3-none-any.whl ; python_version > '3'\n"
        "git+https://example.com/x.git#egg=three[a]\n"
        "-e git+ssh://git@example.com/x.git#egg=four\n"
        "https://example.com/fi_ve-1.0-py3-none-any.whl\n"
        "./libs/here\nsix @ file:///six-1-py3-none-any.whl\nseven==${SEVEN}\n",
        inherited={"SEVEN": "7"},
        wheelhouse=tmp_path,
    )
    assert copy_of(ready).split("\n") == [
        *(
            "",
            "",
            "",
            "--find-links house",
            "lib",
            "lib-two[extra]==2.0 ; python_version > '3'",
            "three[a]",
            "four",
        ),
        *("fi_ve==1.0", "./libs/here", "six @ file:///six-1-py3-none-any.whl", "seven==7", ""),
    ]
    assert netrc_of(ready) == {} and git_of(ready) == []


@pytest.mark.parametrize(
    "line", ["git+https://example.com/x.git", "https://example.com/x.tar.gz", "-r https://example.com/x.txt"]
)
def test_what_only_the_network_could_tell_is_an_error_without_it(
    prepare: Prepare, tmp_path: Path, line: str
) -> None:
    with pytest.raises(ManifestError, match=r"requirements\.txt:1: expected .*there is no network"):
        prepare(f"{line}\n", wheelhouse=tmp_path)


def test_a_wheelhouse_that_is_none_is_named(prepare: Prepare, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="nowhere: expected a folder of wheels, found none"):
        prepare("lib\n", wheelhouse=tmp_path / "nowhere")


# Whatever the login.


def test_no_login_is_in_any_file_but_those_for_pip_and_git_and_pip_reads_the_same(tmp_path: Path) -> None:
    pytest.importorskip("hypothesis")
    pytest.importorskip("pip")
    from hypothesis import given, settings
    from hypothesis import strategies as st

    words = st.text(
        st.characters(min_codepoint=0x21, max_codepoint=0x2FF, exclude_categories=["Cc", "Cs", "Z"]),
        max_size=12,
    )
    logins = st.tuples(words, words).filter(lambda login: any(login))
    encoders = st.sampled_from(
        [lambda text: quote(text, safe=""), lambda text: quote(text, safe="!$&'()*+,;=@")]
    )
    numbers = iter(range(10**9))

    @settings(max_examples=60)
    @given(logins, st.sampled_from(LINES), encoders, st.sampled_from(["", ":8443"]))
    def hold(login: tuple[str, str], line: str, encode: Callable[[str], str], port: str) -> None:
        user, password = (f"{word}pl4nted" if word else "" for word in login)
        encoded = encode(user).replace(":", "%3A") + (f":{encode(password)}" if password else "")
        if "'" in encoded:
            encoded = encoded.replace("'", "%27")
        folder = tmp_path / str(next(numbers))
        text = line.replace("HOST", f"{encoded}@example.com{port}")
        manifest = job(folder / "job", {"requirements.txt": f"{text}\n"}, None, "requirements.txt")
        (folder / "private").mkdir()
        environment = build_environment(manifest, {}, cwd=folder)
        ready = prepared(manifest, environment, folder / "private")
        for path in ready.folder.rglob("*"):
            is_for_logins = path.name in ("netrc", "credentials")
            assert path.is_dir() or is_for_logins or "pl4nted" not in path.read_text(), path
        assert "pl4nted" not in "".join(f"{value}" for value in ready.variables.values())
        if "git+" in text:
            (credential,) = credentials_of(ready)
            found = urlsplit(credential)
            assert (unquote(found.username or ""), unquote(found.password or "")) == (user, password)
        else:
            assert netrc_of(ready) == {"example.com": (user, password)}
        assert ready.file is not None
        assert as_pip_reads(ready.file) == as_pip_reads(written(folder, text.replace(f"{encoded}@", "")))

    hold()


LINES = [
    "lib @ https://HOST/files/lib-1-py3-none-any.whl ; python_version >= '3'",
    "https://HOST/files/lib-1-py3-none-any.whl#sha256=00",
    "lib[extra] @ git+https://HOST/team/lib.git@main#subdirectory=a",
    "git+https://HOST/team/lib.git@v1#egg=lib",
    "--index-url https://HOST/simple",
    "--extra-index-url=https://HOST/simple",
    "-f https://HOST/files",
    "lib @ https://HOST/lib-1.tar.gz --hash=sha256:" + "0" * 64,
]


def written(folder: Path, text: str) -> Path:
    file = folder / "expected.txt"
    file.write_text(f"{text}\n")
    return file


def as_pip_reads(file: Path) -> tuple[Any, ...]:
    """What pip's own reader takes from a file: requirements with options, indexes, links."""
    parse = import_module("pip._internal.req.req_file").parse_requirements
    control = import_module("pip._internal.models.format_control").FormatControl
    scope = SimpleNamespace(no_index=False)
    finder = SimpleNamespace(find_links=[], index_urls=[], search_scope=scope, format_control=control())
    finder.release_control = None
    read = [
        (one.requirement, one.is_editable, str(one.options))
        for one in parse(str(file), session=None, finder=finder)
    ]
    return (read, getattr(finder.search_scope, "index_urls", ()), finder.find_links)

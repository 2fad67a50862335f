"""A manifest on top of another (`extends`), and single values on top of both (`--set`) (SPEC 2, 2.3)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from pyjob.errors import ManifestError
from pyjob.manifest import Manifest, find_manifest, manifest_of

BASE = """\
name: base
owner_email: base@example.com
jobtype: python3:latest
git: {remote: https://example.com/team/base}
jobtype_extra:
  entrypoint_path: job.py
  max_concurrency: 4
  cors_origins: [https://a, https://b]
runtime_env:
  MODE: base
  REGION: eu
labels: {team: {name: a, floor: 1}}
"""
EXPECTED_NAME = (
    'expected at most 63 letters, digits, "-", "_" and ".", a letter or digit at both ends (house-price)'
)
EXPECTED_ENTRY = "expected the path of a file inside the job's folder, relative to it"


@pytest.fixture(name="home")
def fixture_home(tmp_path: Path) -> Path:
    """A repository with a base manifest; the job is in its folder ``job``."""
    home = tmp_path / "home"
    (home / "job").mkdir(parents=True)
    (home / ".git").mkdir()
    (home / "base.yaml").write_text(BASE)
    return home


def read(home: Path, overlay: str, settings: Sequence[str] = (), **environ: str) -> Manifest:
    """Read ``overlay`` as the manifest of the job in ``home``."""
    (home / "job/job.yaml").write_text(overlay)
    return find_manifest(Path("job"), environ=environ, cwd=home, settings=settings)


def faults(home: Path, overlay: str, settings: Sequence[str] = ()) -> list[str]:
    """The lines of the error that ``overlay`` gives."""
    with pytest.raises(ManifestError) as caught:
        read(home, overlay, settings)
    lines = str(caught.value).splitlines()
    assert all(line.isprintable() and len(line) < 500 for line in lines)
    return lines


def told(manifest: Manifest) -> list[str]:
    return [str(remark) for remark in manifest.warnings]


def test_the_overlay_wins_lists_are_replaced_and_null_removes(home: Path) -> None:
    manifest = read(
        home,
        """
extends: ../base.yaml
name: overlay
jobtype_extra: {max_concurrency: null, cors_origins: [https://c], home_page: /x}
runtime_env: {MODE: overlay, REGION: null, MORE: x}
labels: {team: {floor: 2}}
""",
    )
    assert (manifest.name, manifest.owner_email) == ("overlay", "base@example.com")
    assert manifest.jobtype_extra.entrypoint_path == "job.py"
    assert manifest.jobtype_extra.max_concurrency is None
    assert manifest.jobtype_extra.cors_origins == ("https://c",)
    assert manifest.jobtype_extra.home_page == "/x"
    assert manifest.runtime_env == {"MODE": "overlay", "MORE": "x"}
    assert manifest.labels == {"team": {"name": "a", "floor": 2}}
    assert manifest.extends == "../base.yaml"
    assert manifest.files == (home / "job/job.yaml", home / "job/../base.yaml")
    assert (manifest.folder, told(manifest)) == ((home / "job").resolve(), [])


def test_null_removes_a_whole_section(home: Path) -> None:
    manifest = read(home, "extends: ../base.yaml\nlabels:\nruntime_env: null\n")
    assert (manifest.labels, manifest.runtime_env) == ({}, {})


def test_an_empty_base_is_named_where_none_is(home: Path) -> None:
    for nothing in ("", "''", "null"):
        (line, *_) = faults(home, f"extends: {nothing}\nname: x\n")
        assert line == "job/job.yaml: owner_email: expected an e-mail address, found nothing"


def test_problems_of_both_are_told_together_each_with_its_file_and_line(home: Path) -> None:
    (home / "base.yaml").write_text(
        BASE + "replicas: 0\nversion: 1.10\nlabelz: {}\nresources: {cpu_min: 2}\nreplicas: 51\n"
    )
    assert faults(home, "extends: ../base.yaml\nname: no\nowner_email: null\nresources:\n  cpu_max: 1\n") == [
        "base.yaml:17: replicas: expected every key once, found it again after line 13",
        "base.yaml:15: labelz: expected a known field, found an unknown one: did you mean labels?",
        f"job/job.yaml:2: name: {EXPECTED_NAME}, found the boolean false (so YAML reads yes, no, on and "
        'off): quote it: "no"',
        "base.yaml:14: version: expected a semantic version, such as 1.2.3, found the number 1.1: quote it: "
        '"1.10"',
        "base.yaml:17: replicas: expected an integer from 1 to 50, found 51",
        "job/job.yaml:3: owner_email: expected an e-mail address, found nothing",
        "base.yaml:16: resources.cpu_min: expected at most resources.cpu_max (1), found 2",
    ]


def test_null_for_what_is_not_there_removes_nothing_but_the_field_must_be_known(home: Path) -> None:
    assert read(home, "extends: ../base.yaml\nreplicas:\nruntime_env: {NONE: null}\n").replicas == 1
    assert faults(home, "extends: ../base.yaml\nreplica:\ngit: {remot: null}\n") == [
        "job/job.yaml:3: git.remot: expected a known field, found an unknown one: did you mean git.remote?",
        "job/job.yaml:2: replica: expected a known field, found an unknown one: did you mean replicas?",
    ]


def test_a_field_of_the_base_that_the_overlay_sets_right_is_no_problem(home: Path) -> None:
    (home / "base.yaml").write_text(BASE.replace("name: base", "name: no"))
    assert read(home, "extends: ../base.yaml\nname: yes-it-is\n").name == "yes-it-is"


def test_warnings_name_the_file_they_are_of(home: Path) -> None:
    (home / "base.yaml").write_text(BASE.replace("  max_concurrency: 4", "  max_concurency: 4"))
    manifest = read(home, "extends: ../base.yaml\nname: Over_lay\njobtype_extra: {gomod: x}\n")
    assert told(manifest) == [
        "base.yaml:7: jobtype_extra.max_concurency: an unknown field, ignored: did you mean "
        "jobtype_extra.max_concurrency?",
        "job/job.yaml:3: jobtype_extra.gomod: an unknown field, ignored",
        'job/job.yaml:2: name: "Over_lay" is no DNS label (lower case letters, digits, dashes), and '
        "platforms may refuse it",
    ]


def test_what_is_missing_beside_an_entry_file_is_told_where_it_was_left_empty(home: Path) -> None:
    (home / "job/model.py").touch()
    (home / "job/job.yaml").write_text("extends: ../base.yaml\nname: null\n")
    (home / "base.yaml").write_text(BASE.replace("base@example.com", ""))
    manifest = find_manifest(Path("job/model.py"), environ={}, cwd=home)
    assert told(manifest) == ["job/job.yaml:2: name: missing", "base.yaml:2: owner_email: missing"]


@pytest.mark.parametrize(
    ("base", "overlay"), [("python", "jobtype_extra"), ("jobtype_extra", "python"), ("python", "python")]
)
def test_a_deprecated_spelling_in_either_is_the_same_field(home: Path, base: str, overlay: str) -> None:
    (home / "base.yaml").write_text(BASE.replace("jobtype_extra", base))
    manifest = read(home, f"extends: ../base.yaml\n{overlay}: {{max_concurrency: 9}}\n")
    assert manifest.jobtype_extra.max_concurrency == 9
    assert manifest.jobtype_extra.entrypoint_path == "job.py"
    spelling = "python: a deprecated spelling, write jobtype_extra"
    where = [f"base.yaml:5: {spelling}"] * (base == "python")
    where += [f"job/job.yaml:2: {spelling}"] * (overlay == "python")
    assert told(manifest) == where


def test_two_spellings_in_one_layer_are_folded_before_they_meet_the_other(home: Path) -> None:
    (home / "base.yaml").write_text(
        BASE + "python: {max_concurrency: 5, home_page: /p, gomod: x}\nlang: golang:1\n"
    )
    manifest = read(
        home, "extends: ../base.yaml\nwrapper_properties: {max_concurrency: 7}\nlang: python3:2\n"
    )
    assert manifest.jobtype_extra.max_concurrency == 7
    assert manifest.jobtype_extra.home_page == "/p"
    assert manifest.jobtype == "python3:2"
    assert told(manifest) == [
        "base.yaml:13: jobtype_extra.gomod: an unknown field, ignored",
        "base.yaml:14: lang: a deprecated spelling, write jobtype",
        "base.yaml:14: lang: ignored, since jobtype is set",
        "base.yaml:13: python: a deprecated spelling, write jobtype_extra",
        "base.yaml:13: python.max_concurrency: ignored, since jobtype_extra.max_concurrency is set",
        "job/job.yaml:3: lang: a deprecated spelling, write jobtype",
        "job/job.yaml:2: wrapper_properties: a deprecated spelling, write jobtype_extra",
    ]


def test_a_fault_under_a_deprecated_spelling_has_its_line_in_the_base(home: Path) -> None:
    (home / "base.yaml").write_text(BASE.replace("jobtype_extra", "python").replace("4", "x"))
    assert faults(home, "extends: ../base.yaml\njobtype_extra: {home_page: x}\n") == [
        'base.yaml:7: jobtype_extra.max_concurrency: expected an integer >= 0, found "x"',
        'job/job.yaml:2: jobtype_extra.home_page: expected a path on this server that starts with one "/", '
        'found "x"',
    ]


def test_the_base_is_beside_the_manifest_not_beside_the_job(home: Path) -> None:
    (home / "deploy").mkdir()
    (home / "deploy/base.yaml").write_text(BASE)
    (home / "deploy/prod.yaml").write_text("extends: base.yaml\nname: prod\n")
    manifest = find_manifest(Path("job"), environ={}, cwd=home, manifest=Path("deploy/prod.yaml"))
    assert (manifest.name, manifest.folder) == ("prod", (home / "job").resolve())
    assert manifest.owner_email == "base@example.com"


def test_a_manifest_of_the_environment_and_one_at_hand_extend_what_is_in_the_folder(home: Path) -> None:
    (home / "job.py").touch()
    for path in (None, Path("job.py")):
        environ = {"JOB_MANIFEST_YAML": "extends: base.yaml\nname: env"}
        assert find_manifest(path, environ=environ, cwd=home).owner_email == "base@example.com"
    at_hand = manifest_of({"extends": "base.yaml", "labels": {"team": None}}, name="x", folder=home)
    assert (at_hand.name, at_hand.labels) == ("base", {})


def test_unknown_fields_of_a_base_are_errors_though_the_environments_are_not(home: Path) -> None:
    (home / "base.yaml").write_text(BASE + "replica: 2\n")
    environ = {"JOB_MANIFEST_YAML": "extends: base.yaml\nreplicaz: 2"}
    with pytest.raises(ManifestError) as caught:
        find_manifest(None, environ=environ, cwd=home)
    assert str(caught.value) == (
        "base.yaml:13: replica: expected a known field, found an unknown one: did you mean replicas?"
    )


def test_a_mapping_at_hand_that_contains_itself_and_extends_is_an_error(home: Path) -> None:
    labels: dict[str, object] = {}
    labels["again"] = labels
    with pytest.raises(ManifestError, match="labels: expected at most 50 levels of nesting"):
        manifest_of({"extends": "base.yaml", "labels": labels}, name="x", folder=home)


def test_a_base_that_is_no_file_is_an_error_in_the_line_that_names_it(home: Path) -> None:
    (home / "folder.yaml").mkdir()
    os.mkfifo(home / "fifo.yaml")
    (home / "round.yaml").symlink_to("round.yaml")
    (home / "broken.yaml").symlink_to("nowhere.yaml")
    (home / "large.yaml").write_text("#" * 10_000_000)
    circle = "symbolic links that go round in a circle"
    for name, end in {
        "none.yaml": "expected an existing file, found nothing (none.yaml)",
        "folder.yaml": "expected a file, found a folder (folder.yaml)",
        "fifo.yaml": "expected a file, found a FIFO (fifo.yaml)",
        "round.yaml": f"expected an existing file, found {circle} (round.yaml)",
        "broken.yaml": "expected an existing file, found a symbolic link to nothing (broken.yaml)",
        "large.yaml": "expected at most 262144 bytes, found more (large.yaml)",
        "base.json": 'expected the relative path of a .yaml file, found "../base.json"',
    }.items():
        assert faults(home, f"name: x\nextends: ../{name}\n") == [f"job/job.yaml:2: extends: {end}"]
    for written, found in (
        ("/etc/x.yaml", '"/etc/x.yaml"'),
        ("3", 'the number 3: quote it: "3"'),
        ("[a]", "a list"),
    ):
        assert faults(home, f"extends: {written}\n") == [
            f"job/job.yaml:1: extends: expected the relative path of a .yaml file, found {found}"
        ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_base_that_may_not_be_read_is_an_error(home: Path) -> None:
    (home / "base.yaml").chmod(0)
    assert faults(home, "extends: ../base.yaml\n") == [
        "job/job.yaml:1: extends: expected a file that can be read, found no permission (base.yaml)"
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "job/job.yaml:3: extends: expected a mapping of fields to values, found an empty document "
         "(base.yaml)"),
        ("# x\n- a\n", "base.yaml:2: expected a mapping of fields to values, found a list"),
        ("a: b\nc: [\n", "base.yaml:3: expected valid YAML, found a fault in column 1: while parsing a flow "
         "node, expected the node content, but found '<stream end>'"),
        ("a: é", "base.yaml:1: expected UTF-8 text, found the byte 0xe9"),
    ],
)  # fmt: skip
def test_a_base_that_cannot_be_read_is_told_beside_what_is_wrong_with_the_overlay(
    home: Path, text: str, line: str
) -> None:
    (home / "base.yaml").write_bytes(text.encode("latin-1"))
    assert faults(home, "replicas: 0\n\nextends: ../base.yaml\n") == [
        line,
        "job/job.yaml:1: replicas: expected an integer from 1 to 50, found 0",
    ]


def test_null_is_no_fault_where_the_base_that_it_takes_from_is_one(home: Path) -> None:
    assert faults(home, "runtime_env: {A: null}\nextends: ../none.yaml\n") == [
        "job/job.yaml:2: extends: expected an existing file, found nothing (none.yaml)"
    ]


def test_there_is_one_level_and_no_circle(home: Path) -> None:
    (home / "base.yaml").write_text("extends: job/job.yaml\nreplicas: 0\n")
    assert faults(home, "extends: ../base.yaml\nname: no-\n") == [
        "base.yaml:1: extends: expected a base manifest that extends no other, found one that does",
        f'job/job.yaml:2: name: {EXPECTED_NAME}, found "no-"',
        "base.yaml:2: replicas: expected an integer from 1 to 50, found 0",
    ]
    for itself in ("job.yaml", "./../job/job.yaml"):
        assert faults(home, f"extends: {itself}\n") == [
            "job/job.yaml:1: extends: expected another manifest, found this one"
        ]
    (home / "job/alias.yaml").symlink_to("job.yaml")
    assert faults(home, "extends: alias.yaml\n") == [
        "job/alias.yaml:1: extends: expected a base manifest that extends no other, found one that does"
    ]


def outside(home: Path, path: str, fields: str = "") -> str | None:
    """What is said of a base, and no more than that, where it counts as outside of the repository."""
    (home.parent / "out.yaml").write_text(BASE)
    try:
        read(home, f"{fields}\nextends: {path}\n")
    except ManifestError as error:
        (problem,) = error.problems
        assert (problem.path, problem.found) == ("extends", f'"{path}"')
        return problem.expected
    return None


def test_a_base_outside_of_the_git_work_tree_is_an_error(home: Path) -> None:
    said = outside(home, "../../out.yaml")
    assert said == f"a file inside the repository (by .git, or else git.directory, that is {home.resolve()})"
    assert outside(home, "../base.yaml") is None


def test_a_link_that_leads_out_of_the_repository_is_an_error(home: Path) -> None:
    (home / "link.yaml").symlink_to("../out.yaml")
    (home / "inside.yaml").symlink_to("base.yaml")
    assert outside(home, "../link.yaml")
    assert outside(home, "../inside.yaml") is None


def test_a_job_in_a_linked_folder_is_in_the_repository_that_the_folder_is_in(home: Path) -> None:
    read(home, "extends: ../base.yaml\n")
    (home.parent / "link").symlink_to("home/job")
    assert find_manifest(Path("link"), environ={}, cwd=home.parent).name == "base"


def test_without_git_the_manifest_says_where_the_repository_begins(home: Path) -> None:
    (home / ".git").rmdir()
    assert outside(home, "../base.yaml")
    for fields, is_outside in {
        "git: {directory: job}": False,
        "git: {directory: ./job/}": False,
        "git: {directory: home/job}": False,
        "git: {directory: other}": True,
        "git: {directory: .}": True,
        "git: {directory: ../job}": True,
    }.items():
        assert bool(outside(home, "../base.yaml", fields)) == is_outside, fields
    assert outside(home, "../../out.yaml", "git: {directory: job}")


SECRETS = [
    *("TOKEN=hunter2\nB=c\n", "# x\n\nexport TOKEN = hunter2: b\n", "hunter2\n", "- hunter2\n"),
    *("TOKEN: hunter2\n", "TOKEN: *hunter2\n", "TOKEN: !hunter2 x\n", "TOKEN: !hunter2!x y\n"),
    *("TOKEN: 'hunter2\n", "TOKEN: [hunter2\n", "TOKEN: hunter2\n  x: y\n", "TOKEN: !!int hunter2"),
    *("a: &hunter2 b\nc: &hunter2 d\n", "runtime_env: {TOKEN: [hunter2], 1: hunter2, no: hunter2}\n"),
]


@pytest.mark.parametrize("text", SECRETS)
def test_what_is_in_a_file_that_is_no_manifest_stays_out_of_the_error(home: Path, text: str) -> None:
    (home / "job/.env.yaml").write_text(text)
    assert "hunter2" not in "\n".join(faults(home, "extends: .env.yaml\n"))
    (home / ".env").write_text(text)
    with pytest.raises(ManifestError) as caught:
        find_manifest(Path(".env"), environ={}, cwd=home)
    assert "hunter2" not in str(caught.value)


def test_an_env_file_is_recognized(home: Path) -> None:
    (home / "job/.env.yaml").write_text("# secret\nexport A='b'\n")
    assert faults(home, "extends: .env.yaml\n") == [
        "job/job.yaml:1: extends: expected a mapping of fields to values, found lines of NAME=value, as in "
        "an env file (job/.env.yaml)"
    ]


OVERLAY = "extends: ../base.yaml\nname: overlay\n"


def test_settings_win_over_the_manifest_and_its_base(home: Path) -> None:
    manifest = read(
        home,
        OVERLAY + "replicas: 2\n",
        [
            "name=given",
            " jobtype_extra.max_concurrency = 5 ",
            "jobtype_extra.cors_origins=[https://x, https://y]",
            "runtime_env.MODE='1.10'",
            "runtime_env.REGION=",
            "labels={team: {floor: 3}, more: [1, {a: b}]}",
            "replicas=null",
            "resources.cpu_max=0.5",
            "public_endpoints=- /api/v1/perform",
        ],
    )
    assert manifest.name == "given"
    assert manifest.jobtype_extra.max_concurrency == 5
    assert manifest.jobtype_extra.cors_origins == ("https://x", "https://y")
    assert manifest.runtime_env == {"MODE": "1.10"}
    assert manifest.labels == {"team": {"name": "a", "floor": 3}, "more": [1, {"a": "b"}]}
    assert (manifest.replicas, manifest.resources.cpu_max) == (1, "0.5")
    assert manifest.public_endpoints == ("/api/v1/perform",)
    assert told(manifest) == []


def test_the_last_of_two_settings_of_one_field_counts(home: Path) -> None:
    assert read(home, OVERLAY, ["name=a", "name=b"]).name == "b"


def test_a_setting_wins_over_a_deprecated_spelling_and_may_have_one(home: Path) -> None:
    overlay = OVERLAY + "python: {max_concurrency: 2}\n"
    for setting in ("jobtype_extra.max_concurrency=7", "wrapper_properties.max_concurrency=7"):
        assert read(home, overlay, [setting]).jobtype_extra.max_concurrency == 7
    assert read(home, overlay, ["python.max_concurrency="]).jobtype_extra.max_concurrency is None
    assert "--set: lang: a deprecated spelling, write jobtype" in told(
        read(home, OVERLAY, ["lang=python3:1"])
    )


def test_settings_serve_a_job_without_a_manifest(home: Path) -> None:
    (home / "job/model.py").touch()
    settings = ["version=1.2.3", "name=given"]
    manifest = find_manifest(Path("job/model.py"), environ={}, cwd=home, settings=settings)
    assert (manifest.name, manifest.version) == ("given", "1.2.3")


def test_wrong_settings_are_all_told_with_what_is_wrong_with_the_manifest(home: Path) -> None:
    settings = [
        "replica=2",
        "max_concurrency=2",
        "jobtype_extra.max_concurrency=x",
        "runtime_env.A=1.10",
        "version",
    ]
    settings += [
        "=3",
        "a..b=3",
        "extends=x.yaml",
        "labels=[a",
        "labels={k: 1, k: 2, 3: 4}",
        "name=a: b",
        "git=3",
    ]
    assert faults(home, OVERLAY + "resources: 5\n", settings) == [
        '--set: expected FIELD=VALUE, such as jobtype_extra.max_concurrency=4, found "version"',
        '--set: expected FIELD=VALUE, such as jobtype_extra.max_concurrency=4, found ""',
        '--set: expected FIELD=VALUE, such as jobtype_extra.max_concurrency=4, found "a..b"',
        "--set extends: expected a field that has a value, found one that says what the manifest is",
        "--set labels: expected valid YAML, found a fault in column 3: while parsing a flow sequence, "
        "expected ',' or ']', but got '<stream end>'",
        "--set: labels.k: expected every key once, found it again after line 1",
        "--set: git: expected a mapping, found 3",
        "job/job.yaml:3: resources: expected a mapping, found 5",
        "--set: replica: expected a known field, found an unknown one: did you mean replicas?",
        "--set: max_concurrency: expected a known field, found an unknown one: did you mean "
        "jobtype_extra.max_concurrency?",
        f"--set: name: {EXPECTED_NAME}, found a mapping",
        '--set: jobtype_extra.max_concurrency: expected an integer >= 0, found "x"',
        '--set: runtime_env.A: expected a string, found the number 1.1: quote it: "1.10"',
        "--set: labels.3: expected a string as name, found the number 3: quote the name",
    ]


def test_an_unknown_setting_is_an_error_also_on_top_of_the_environments_manifest(home: Path) -> None:
    environ = {"JOB_MANIFEST_YAML": BASE}
    with pytest.raises(ManifestError, match=r"--set: replica: .* did you mean replicas"):
        find_manifest(None, environ=environ, cwd=home, settings=["replica=2"])
    manifest = find_manifest(None, environ=environ, cwd=home, settings=["jobtype_extra.home_pag=/x"])
    assert told(manifest) == [
        "--set: jobtype_extra.home_pag: an unknown field, ignored: did you mean jobtype_extra.home_page?"
    ]


def test_a_field_that_a_setting_takes_away_is_missing(home: Path) -> None:
    assert faults(home, OVERLAY, ["owner_email=null", "jobtype_extra.entrypoint_path="]) == [
        "--set: owner_email: expected an e-mail address, found nothing",
        f"--set: jobtype_extra.entrypoint_path: {EXPECTED_ENTRY}, found nothing",
    ]


BOMB = ", ".join(
    ["a: &a [x, x]", *(f"{b}: &{b} [{f'*{a}, ' * 20}]" for a, b in zip("abcdef", "bcdefg", strict=False))]
)


@pytest.mark.parametrize(
    "setting",
    [
        "labels.x=" + "y" * 10_000_000,
        "labels.x=" + "[" * 100_000,
        f"labels={{{BOMB}}}",
        ".".join("a" * 10_000) + "=1",
        "." * 10_000_000,
        "labels." + "x" * 10_000_000 + "=1",
        "labels.\x1b[31m=1",
        "labels.x=\0",
        "labels.x=\ud800",
        "labels.x=!!python/object/apply:os.system [x]",
    ],
    ids=range(10),
)
def test_a_hostile_setting_is_one_short_line(home: Path, setting: str) -> None:
    (line,) = faults(home, OVERLAY, [setting])
    assert line.startswith("--set")
    assert len(line) < 250


def test_the_value_of_a_broken_setting_stays_out_of_the_error(home: Path) -> None:
    for setting in ("runtime_env..A=hunter2", "runtime_env.A=[hunter2]", "runtime_env.A=*hunter2"):
        assert "hunter2" not in "\n".join(faults(home, OVERLAY, [setting]))

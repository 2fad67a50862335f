"""Where a manifest is found, and what is said about one that cannot be read (SPEC 2.1)."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from pyjob.errors import ManifestError
from pyjob.manifest import Manifest, find_manifest, manifest_of

REST = "owner_email: a@b\njobtype: python3:latest\ngit: {remote: 'https://h/r'}\n"
ENTRY = "jobtype_extra: {entrypoint_path: entry.py}\n"


def named(name: str) -> str:
    """A good manifest of this name."""
    return f"name: {name}\n{REST}{ENTRY}"


def find(cwd: Path, path: str | None = None, manifest: str | None = None, **environ: str) -> Manifest:
    """Find a manifest as a command started in ``cwd`` does."""
    return find_manifest(
        None if path is None else Path(path),
        environ=environ,
        cwd=cwd,
        manifest=None if manifest is None else Path(manifest),
    )


def told(manifest: Manifest) -> list[str]:
    """The lines of its warnings."""
    return [str(remark) for remark in manifest.warnings]


def fault(cwd: Path, path: str | None = None, manifest: str | None = None, **environ: str) -> str:
    """Return the one line of the error."""
    with pytest.raises(ManifestError) as caught:
        find(cwd, path, manifest, **environ)
    assert len(caught.value.problems) == 1
    line = str(caught.value)
    assert line.isprintable()
    return line


def fault_of(cwd: Path, text: str | bytes) -> str:
    """Return what is wrong with a text as the manifest in ``cwd``."""
    data = text if isinstance(text, bytes) else text.encode()
    (cwd / "job.yaml").write_bytes(data)
    return fault(cwd).removeprefix("job.yaml: ")


def test_the_current_folder_has_the_manifest_when_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(named("here"))
    manifest = find(tmp_path)
    assert (manifest.name, manifest.source, manifest.folder) == ("here", "job.yaml", tmp_path.resolve())
    assert manifest.warnings == ()


def test_a_folder_is_given(tmp_path: Path) -> None:
    (tmp_path / "jobs/one").mkdir(parents=True)
    (tmp_path / "jobs/one/job.yaml").write_text(named("one"))
    manifest = find(tmp_path, "jobs/one", JOB_MANIFEST_YAML=named("env"))
    assert (manifest.name, manifest.source) == ("one", "jobs/one/job.yaml")
    assert manifest.folder == (tmp_path / "jobs/one").resolve()
    assert find(tmp_path / "jobs", "../jobs/./one").folder == manifest.folder
    assert find(Path("/"), str(tmp_path / "jobs/one")).folder == manifest.folder


def test_a_manifest_file_is_given_and_its_folder_is_the_jobs(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one/prod.yml").write_text(named("prod"))
    manifest = find(tmp_path, "one/prod.yml")
    assert (manifest.name, manifest.folder) == ("prod", (tmp_path / "one").resolve())


def test_a_linked_manifest_belongs_to_the_folder_that_links_it(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/job.yaml").write_text(named("linked"))
    (tmp_path / "job.yaml").symlink_to("data/job.yaml")
    assert find(tmp_path, "job.yaml").folder == tmp_path.resolve()


def test_the_environment_wins_over_the_current_folder_but_not_when_it_is_blank(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(named("file"))
    manifest = find(tmp_path, JOB_MANIFEST_YAML=named("env"))
    assert (manifest.name, manifest.source) == ("env", "JOB_MANIFEST_YAML")
    assert manifest.folder == tmp_path.resolve()
    assert find(tmp_path, JOB_MANIFEST_YAML=" \n").name == "file"


def test_backslash_n_is_a_newline_only_in_a_text_without_one(tmp_path: Path) -> None:
    assert find(tmp_path, JOB_MANIFEST_YAML=named("x").replace("\n", "\\n")).name == "x"
    text = named("x") + r'labels: {text: "a\nb", raw: a\nb}'
    assert find(tmp_path, JOB_MANIFEST_YAML=text).labels == {"text": "a\nb", "raw": r"a\nb"}


def test_unknown_fields_in_the_environment_are_warnings(tmp_path: Path) -> None:
    text = named("x").replace("git: {", "git: {depth: 1, ") + "replica: 2\n"
    assert told(find(tmp_path, JOB_MANIFEST_YAML=text)) == [
        "JOB_MANIFEST_YAML:4: git.depth: an unknown field, ignored",
        "JOB_MANIFEST_YAML:6: replica: an unknown field, ignored: did you mean replicas?",
    ]


def test_the_old_file_name_is_accepted_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / "fatman.yaml").write_text(named("old"))
    for path in (None, ".", "fatman.yaml"):
        manifest = find(tmp_path, path)
        assert manifest.name == "old"
        assert told(manifest) == ["fatman.yaml: a deprecated file name, call it job.yaml"]
    (tmp_path / "job.yaml").write_text(named("new"))
    assert find(tmp_path).name == "new"


def test_a_manifest_apart_from_the_folder_wins_and_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job/job.yaml").write_text(named("inside"))
    (tmp_path / "other.yaml").write_text(named("outside"))
    for manifest in (
        find(tmp_path, "job", "other.yaml"),
        find(tmp_path / "job", None, "../other.yaml", JOB_MANIFEST_YAML=named("env")),
    ):
        assert (manifest.name, manifest.folder) == ("outside", (tmp_path / "job").resolve())


def test_two_manifests_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(named("a"))
    assert fault(tmp_path, "a.yaml", "b.yaml").endswith("found another manifest")


def test_nothing_at_all_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    for path in (None, "."):
        line = fault(tmp_path, path)
        assert line.startswith(f"{tmp_path}: expected a job.yaml (put one into this folder")
        assert "`pyjob run FILE.py`" in line


def test_a_python_file_needs_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "My model v2.py").touch()
    manifest = find(tmp_path, "My model v2.py")
    assert (manifest.name, manifest.version, manifest.owner_email) == ("My-model-v2", "0.0.1", "")
    assert manifest.jobtype_extra.entrypoint_path == "My model v2.py"
    assert told(manifest) == ["My model v2.py: no manifest, so the job is called My-model-v2 0.0.1"]
    assert manifest.check_errors == ()
    assert manifest.folder == tmp_path.resolve()


@pytest.mark.parametrize(("stem", "name"), [("_", "job"), ("żółw", "w"), ("a" * 80, "a" * 63), ("-x-", "x")])
def test_the_name_of_a_python_file_is_made_valid(tmp_path: Path, stem: str, name: str) -> None:
    (tmp_path / f"{stem}.py").touch()
    assert find(tmp_path, f"{stem}.py").name == name


def test_a_python_file_takes_the_manifest_given_then_the_environments_then_the_one_beside(
    tmp_path: Path,
) -> None:
    (tmp_path / "job").mkdir()
    (tmp_path / "job/main.py").touch()
    (tmp_path / "job/job.yaml").write_text(named("beside"))
    (tmp_path / "other.yaml").write_text(named("given"))
    for manifest, environ, name in (
        ("other.yaml", {"JOB_MANIFEST_YAML": named("env")}, "given"),
        (None, {"JOB_MANIFEST_YAML": named("env")}, "env"),
        (None, {}, "beside"),
    ):
        found = find(tmp_path, "job/main.py", manifest, **environ)
        assert found.name == name
        assert found.jobtype_extra.entrypoint_path == "main.py"
        assert found.folder == (tmp_path / "job").resolve()


def test_what_the_manifest_beside_a_python_file_lacks_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "main.py").touch()
    (tmp_path / "job.yaml").write_text("jobtype: python3:latest\nreplicas: 2\n")
    manifest = find(tmp_path, "main.py")
    assert (manifest.name, manifest.owner_email, manifest.replicas) == ("main", "", 2)
    assert told(manifest) == ["job.yaml: name: missing", "job.yaml: owner_email: missing"]
    (tmp_path / "job.yaml").write_text("replicas: x\n")
    assert fault(tmp_path, "main.py").startswith("job.yaml:1: replicas: ")


def test_a_class_at_hand_needs_no_field(tmp_path: Path) -> None:
    manifest = manifest_of(None, name="Über Model", folder=tmp_path)
    assert (manifest.name, manifest.version, manifest.jobtype) == ("ber-Model", "0.0.1", "")
    assert (manifest.source, manifest.folder) == ("manifest", tmp_path.resolve())
    assert manifest.jobtype_extra.entrypoint_path == ""
    assert (manifest.warnings, manifest.check_errors) == ((), ())
    assert manifest_of({"name": "given"}, name="Other", folder=tmp_path).name == "given"


def test_the_manifest_does_not_change_with_the_mapping_it_was_made_of(tmp_path: Path) -> None:
    labels: dict[str, object] = {"a": [1]}
    manifest = manifest_of({"labels": labels}, name="x", folder=tmp_path)
    labels["a"] = 2
    assert manifest.labels == {"a": [1]}


@pytest.mark.parametrize("document", [[], "name: x", {"nam": "x"}, {1: 2}, {"labels": 3}])
def test_a_wrong_mapping_at_hand_is_an_error(tmp_path: Path, document: object) -> None:
    with pytest.raises(ManifestError, match=r"\Amanifest: .*expected"):
        manifest_of(document, name="x", folder=tmp_path)  # type: ignore[arg-type]


def test_a_mapping_that_contains_itself_is_an_error(tmp_path: Path) -> None:
    labels: dict[str, object] = {}
    labels["again"] = [labels, labels]
    with pytest.raises(ManifestError, match="labels: expected at most 50 levels of nesting"):
        manifest_of({"labels": {"x": labels}}, name="x", folder=tmp_path)


def test_a_path_that_is_not_there_or_cannot_be_one_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "broken").symlink_to("nowhere")
    expected = "expected an existing file or folder, found"
    assert fault(tmp_path, "no/where") == f"no/where: {expected} nothing"
    assert fault(tmp_path, "no.py") == f"no.py: {expected} nothing"
    assert fault(tmp_path, "round") == f"round: {expected} symbolic links that go round in a circle"
    assert fault(tmp_path, "broken") == f"broken: {expected} a symbolic link to nothing"
    assert fault(tmp_path, "a\0b").endswith("expected a path, found what cannot be one")
    assert "File name too long" in fault(tmp_path, "a" * 5000)
    assert fault(tmp_path, ".", "no.yaml") == "no.yaml: expected an existing file, found nothing"


def test_a_manifest_that_is_no_file_is_an_error_and_nobody_waits_for_it(tmp_path: Path) -> None:
    manifest = tmp_path / "job.yaml"
    manifest.mkdir()
    assert fault(tmp_path) == "job.yaml: expected a file, found a folder"
    manifest.rmdir()
    os.mkfifo(manifest)
    assert fault(tmp_path) == "job.yaml: expected a file, found a FIFO"
    manifest.rename(tmp_path / "job.py")
    assert fault(tmp_path, "job.py") == "job.py: expected a file, found a FIFO"
    manifest.symlink_to("job.yaml")
    assert fault(tmp_path).endswith("symbolic links that go round in a circle")
    assert fault(tmp_path, "/dev/null") == "/dev/null: expected a file, found a device"


def test_a_socket_is_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("job.yaml")
        assert fault(tmp_path) == "job.yaml: expected a file, found a socket"


def test_a_file_that_the_system_refuses_to_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "job.yaml").write_text(named("x"))
    monkeypatch.setattr(os, "open", refuse)
    assert fault(tmp_path) == "job.yaml: expected a file that can be read, found no permission"
    monkeypatch.setattr(Path, "lstat", refuse)
    assert fault(tmp_path) == "job.yaml: expected a file that can be read, found no permission"

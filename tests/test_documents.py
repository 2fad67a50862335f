"""The documents say what is: their blocks run, their links lead somewhere, their tables are complete."""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest

import pyjob
from pyjob.cli import run
from pyjob.manifest.table import ROWS
from tests.documents import LANGUAGES, REPO, Block, Reader, blocks_of, documents, is_as_expected, sessions

MANIFEST_STATES = ("yes", "kept")


def name_of(document: Path) -> str:
    return str(document.relative_to(REPO))


def read(path: str) -> str:
    return (REPO / path).read_text(encoding="utf-8")


def block(language: str, text: str, **notes: str) -> Block:
    return Block("here:1", language, text, notes)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the documents call servers with curl")
@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_a_document_does_what_it_says(document: Path, tmp_path: Path) -> None:
    with Reader(tmp_path) as reader:
        for one in blocks_of(document):
            reader.follow(one)


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_every_block_is_run_or_says_why_not(document: Path) -> None:
    for one in blocks_of(document):
        assert one.language in LANGUAGES or "not run" in one.notes, f"{one.place}: say why it is not run"
        assert len(one.notes.get("not run", "some reason").split()) > 1, f"{one.place}: give a reason"
        if one.language == "console":
            assert one.text.startswith("$ "), f"{one.place}: a session begins with a command"


@pytest.mark.parametrize(
    "document", [*documents(), REPO / "CONTRIBUTING.md", REPO / "CHANGES.md"], ids=name_of
)
def test_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, anchor = unquote(target).partition("#")
        if path.startswith("https://"):
            continue
        file = document.parent / path if path else document
        assert file.exists(), f"{name_of(document)}: {target}"
        if anchor:
            assert anchor in anchors_of(file), f"{name_of(document)}: {target}"


def anchors_of(document: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_manifests_table_has_every_field_and_says_what_becomes_of_it() -> None:
    rows = re.findall(r"^\| (`[a-z_.`, ]+) \|.*\| (\w+) \|$", read("docs/manifest.md"), re.MULTILINE)
    told = {field: state for names, state in rows for field in re.findall(r"`([\w.]+)`", names)}
    assert told.keys() == {row.path for row in ROWS}
    assert set(told.values()) == set(MANIFEST_STATES)


def test_the_example_of_a_manifest_has_all_required_fields() -> None:
    first = next(one for one in blocks_of(REPO / "docs" / "manifest.md") if one.language == "yaml")
    for row in ROWS:
        if row.required:
            assert re.search(rf"^ *{row.key}: .", first.text, re.MULTILINE), row.path


def test_every_option_of_pyjob_run_is_documented() -> None:
    parser = argparse.ArgumentParser()
    run.add_to(parser.add_subparsers())
    usage = parser.parse_args(["run"])
    # What is no option, and what the local platform alone asks for.
    hidden = {"--path", "--run", "--refuse", "--member"}
    options = {f"--{name.replace('_', '-')}" for name in vars(usage)} - hidden
    told = re.findall(r"^\| `(--[\w-]+)", read("docs/serving.md"), re.MULTILINE)
    assert set(told) == options


def test_every_option_of_create_is_documented() -> None:
    section = read("docs/serving.md").partition("## Options of create")[2].partition("\n## ")[0]
    names = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    hints = pyjob.create.__annotations__
    assert {*names, "start_response", "return"} == hints.keys()


def test_the_house_is_drawn_as_it_stands() -> None:
    drawn = {str(path) for path in drawn_modules(read("docs/design.md").partition("```text\n")[2])}
    package = REPO / "pyjob"
    modules = {str(file.relative_to(package)) for file in package.rglob("*.py")}
    assert drawn == {name for name in modules if not name.endswith("/__init__.py")}


def drawn_modules(drawing: str) -> list[Path]:
    """The modules of a drawn tree: two blanks a level, folders end with a slash."""
    modules, folders = [], [Path()]
    for line in drawing.partition("```")[0].splitlines()[1:]:
        indent = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        del folders[indent:]
        if name.endswith("/"):
            folders.append(folders[-1] / name)
        elif name.endswith(".py"):
            modules.append(folders[-1] / name)
    return modules


def test_every_module_of_the_package_is_below_those_that_import_it() -> None:
    order = [str(path) for path in drawn_modules(read("docs/design.md").partition("```text\n")[2])]
    for position, name in enumerate(order):
        for imported in imports_of(REPO / "pyjob" / name):
            if imported in order:
                assert order.index(imported) > position, f"{name} imports {imported}, which is drawn above it"


def imports_of(file: Path) -> set[str]:
    """The modules of pyjob that a file imports, as paths in the package."""
    found = re.findall(
        r"^\s*from pyjob\.([\w.]+) import|^\s*from pyjob import (\w+)", file.read_text(), re.MULTILINE
    )
    return {f"{(module or name).replace('.', '/')}.py" for module, name in found}


# The reader itself: what it must not let pass.


def test_three_dots_stand_for_anything() -> None:
    assert is_as_expected("[...] INFO ready\n...", "[12:30] INFO ready\nand\nmore")
    assert not is_as_expected("[...] INFO ready", "[12:30] INFO ready, not quite")


def test_json_is_compared_as_json() -> None:
    assert is_as_expected('{"a": 1, "b": [2]}', '{"b":[2],"a":1}')
    assert not is_as_expected('{"a": 1}', '{"a": 2}')


def test_a_session_is_cut_into_commands() -> None:
    assert list(sessions("$ one \\\n  two\nout\nput\n$ three\n")) == [
        ("one   two", "out\nput\n"),
        ("three", ""),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        block("python", "1 / 0"),
        block("pycon", ">>> 1 + 1\n3\n"),
        block("console", "$ echo one\ntwo\n"),
        block("console", "$ pyjob run nothing\n...listening...\n"),
        block("yaml", "nam: job\n"),
        block("json", "{'a': 1}"),
        block("fortran", "END"),
    ],
    ids=lambda one: one.language,
)
def test_a_block_that_is_wrong_is_found(wrong: Block, tmp_path: Path) -> None:
    with (
        Reader(tmp_path) as reader,
        pytest.raises((AssertionError, ValueError, ArithmeticError, pyjob.PyjobError)),
    ):
        reader.follow(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "<!-- not run -->\n```console\n$ ls\n```\n",
        "<!-- notrun: why -->\n```text\n```\n",
        "- a\n  ```text\n  ```\n",
    ],
    ids=["no reason", "unknown comment", "indented"],
)
def test_a_block_that_is_not_understood_is_an_error(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    with pytest.raises(ValueError, match=r"README\.md"):
        blocks_of(REPO / "README.md")

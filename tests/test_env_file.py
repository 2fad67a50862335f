"""Env files: what they may hold, and that no error about them tells a secret (SPEC 3.2)."""

from __future__ import annotations

import base64
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from pyjob.environment.env_file import EnvFile, parse_env, read_env_file
from pyjob.errors import ManifestError, Problem

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

MIB = 1024 * 1024
LARGEST_ENTRY = 128 * 1024  # bytes of NAME=value and the NUL behind it
SECRET = "hunter2"
PEM = "-----BEGIN KEY-----\nMIIE+v/Q\nQUJDREVG\nQUI=\n-----END KEY-----\n"


def values_of(text: str, **environ: str) -> Mapping[str, str]:
    """What a text sets."""
    return parse_env(text, ".env", environ).values


def value_of(written: str, **environ: str) -> str:
    """The value of a variable that is written like this behind its ``=``."""
    (value,) = values_of(f"NAME={written}\n", **environ).values()
    return value


def error_of(text: str, reserved: tuple[str, ...] = (), **environ: str) -> ManifestError:
    """The error about a text."""
    with pytest.raises(ManifestError) as caught:
        parse_env(text, ".env", environ, reserved=reserved)
    return caught.value


def faults(text: str, reserved: tuple[str, ...] = (), **environ: str) -> list[str]:
    """The lines of the error about a text."""
    return str(error_of(text, reserved, **environ)).splitlines()


def fault(text: str, **environ: str) -> str:
    """The one line of the error about a text, without the name of the file."""
    (line,) = faults(text, (), **environ)
    assert line.startswith(".env:")
    return line.removeprefix(".env:")


def refused_file(file: Path) -> str:
    """The one line of the error about a file."""
    with pytest.raises(ManifestError) as caught:
        read_env_file(file, "secrets.env", {})
    assert len(caught.value.problems) == 1
    assert str(caught.value).startswith("secrets.env")
    assert not isinstance(caught.value.__context__, UnicodeError), "it holds the whole file"
    return str(caught.value).removeprefix("secrets.env")


# What is accepted


def test_a_line_is_a_name_and_a_value_with_any_blanks_around_them() -> None:
    text = "A=1\n  B = two words  \n\tC\t=\t3\t\n\n \t\n_d9=x"
    assert values_of(text) == {"A": "1", "B": "two words", "C": "3", "_d9": "x"}


def test_a_line_may_begin_with_export() -> None:
    assert values_of("export A=1\n export \t B = 2\nexport=3\nexported=4") == {
        "A": "1",
        "B": "2",
        "export": "3",
        "exported": "4",
    }


@pytest.mark.parametrize("text", ["", "\n", "# all\n  # of it\n", "\ufeff", " \t"])
def test_a_file_may_set_nothing(text: str) -> None:
    assert values_of(text) == {}


@pytest.mark.parametrize("written", ["", "  ", "''", '""', " '' ", " # a comment", "\t#"])
def test_a_value_may_be_empty(written: str) -> None:
    assert value_of(written) == ""


@pytest.mark.parametrize("written", ["x # c", "x\t#c", "'x' # it's", '"x" #', "x #a #b", 'x # "c', "x # ${"])
def test_a_value_may_have_a_comment_behind_a_blank(written: str) -> None:
    assert value_of(written) == "x"


@pytest.mark.parametrize("written", ["x#c", "#c", "a#b#", "'x # c'", '"x # c"'])
def test_a_number_sign_that_is_not_behind_a_blank_is_part_of_the_value(written: str) -> None:
    assert value_of(written) == written.strip("'\"")


@pytest.mark.parametrize("inner", ["\\n", "${A}", "${", '"', "a\\", "\\\\", "# x", " x ", "$A", "`x`"])
def test_single_quotes_are_literal(inner: str) -> None:
    assert value_of(f"'{inner}'") == inner


def test_double_quotes_know_four_backslash_pairs_and_leave_the_others_as_written() -> None:
    assert value_of(r'"a\nb\tc\"d\\e"') == 'a\nb\tc"d\\e'
    assert value_of(r'"\r\x41\a\'\$ \\n \\\n"') == "\\r\\x41\\a\\'\\$ \\n \\\n"
    assert value_of('"a\\\nb"') == "a\\\nb"
    assert value_of('"it\'s"') == "it's"


def test_a_backslash_outside_of_quotes_stays_as_written() -> None:
    assert value_of(r"C:\new\table\\x") == r"C:\new\table\\x"
    assert value_of(r"\${A}", A="x") == r"\x"


def test_a_dollar_with_its_backslash_is_no_reference_inside_of_double_quotes() -> None:
    assert value_of(r'"\${A}"', A="x") == r"\${A}"
    assert value_of(r'"\\${A}"', A="x") == r"\x"


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_value_in_quotes_may_span_lines(quote: str) -> None:
    file = parse_env(f"A=1\nKEY = {quote}{PEM}{quote} # mine\nB=2\n", ".env", {})
    assert file == EnvFile(".env", {"A": "1", "KEY": PEM, "B": "2"}, {"A": 1, "KEY": 2, "B": 8})


def test_windows_line_ends_and_a_byte_order_mark_make_no_difference(tmp_path: Path) -> None:
    text = f"# a\nA='{PEM}'\nB=\"b\" # c\nC=c\nD=\n"
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_env_file(tmp_path / "x", ".env", {}) == parse_env(text, ".env", {})


def test_text_beyond_ascii_is_kept_with_all_that_looks_like_a_line_end_or_a_blank() -> None:
    for text in ("grün 🌳", "a\u2028b", "a\x0bb\x0cc\x85d", "\xa0x\xa0"):
        assert value_of(text) == value_of(f"'{text}'") == value_of(f'"{text}"') == text


# References


def test_a_reference_is_looked_up_in_earlier_lines_and_then_in_the_environment() -> None:
    text = 'A=mine\nB=${A}/${HOME}\nC="<${B}>"\nHOME=${HOME}/sub\nD=${HOME}'
    assert values_of(text, A="theirs", HOME="/h") == {
        "A": "mine",
        "B": "mine//h",
        "C": "<mine//h>",
        "HOME": "/h/sub",
        "D": "/h/sub",
    }


def test_what_a_reference_stands_for_is_taken_as_it_is() -> None:
    outside = " '${B}\" \\n # x "
    assert value_of("${A}", A=outside) == value_of('"${A}"', A=outside) == outside


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${NO:-x}", "x"),
        ("${NO:-}", ""),
        ("${NO:-a b}", "a b"),
        ("${NO:-:-\\n}", ":-\\n"),
        ('"${NO:-a\\n\\"b\\"}"', 'a\n"b"'),
        ('"${NO:-a\nb}"', "a\nb"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY}", ""),
        ("${SET:-x}", "set"),
        ("a${SET}b${NO:-c}d", "asetbcd"),
        ("${NO:-x}}", "x}"),
    ],
)
def test_a_default_is_for_what_is_unset_or_empty(written: str, value: str) -> None:
    assert value_of(written, EMPTY="", SET="set") == value


@pytest.mark.parametrize("written", ["$A", "$", "$$A", "$(A)", "{A}", "a$", "$ {A}"])
def test_a_dollar_without_a_brace_stays_as_written(written: str) -> None:
    assert value_of(written, A="x") == value_of(f'"{written}"', A="x") == written


def test_a_reference_to_what_is_not_set_is_an_error_that_names_it() -> None:
    expected = "expected a variable that is set, or a default, found"
    assert fault("A=1\nB=x${LATER}\nLATER=1") == f"2: B: {expected} ${{LATER}}, which is not set"
    assert fault('A="\n\n${NO}"') == f"3: A: {expected} ${{NO}}, which is not set"


@pytest.mark.parametrize(
    "inside", ["", "1", "A-x", "A:=x", "A:?x", " A", "A ", "A:x", "Ä", "A\tB", "!A", "#A"]
)
def test_a_reference_of_another_kind_is_an_error(inside: str) -> None:
    expected = '1: NAME: expected ${NAME} or ${NAME:-default}, found something else behind a "${"'
    assert fault(f"NAME=a${{{inside}}}b", A="x") == expected
    assert fault(f'NAME="a${{{inside}}}b"', A="x") == expected


@pytest.mark.parametrize("written", ["${", "${A", "a${A:-b", '"${"', '"${A"', "${A #}", '"${A" # }'])
def test_a_reference_without_its_end_is_an_error(written: str) -> None:
    assert fault(f"NAME={written}\nB=}}", A="x") == '1: NAME: expected a "}" for every "${", found none'


@pytest.mark.parametrize("written", ["${A:-${B}}", '"${A:-x${B:-y}}"', "${A${B}}"])
def test_a_reference_inside_of_a_reference_is_an_error(written: str) -> None:
    expected = "1: NAME: expected a default without a reference, found one inside of another"
    assert fault(f"NAME={written}", A="x", B="y") == expected


def test_a_reference_to_a_line_with_a_fault_is_no_fault_of_its_own() -> None:
    assert fault("A=it's\nB=${A}\nC=${B:-x}", A="x").startswith("1: A: ")


def test_the_environment_cannot_bring_in_what_no_value_may_hold() -> None:
    expected = "1: NAME: expected text that an environment variable can hold, found NUL or half a character"
    for bad in ("a\0b", "a\udc80b"):
        assert fault("NAME=x${A}", A=bad) == fault("NAME=${A:-x}", A=bad) == expected


# Faults of lines


@pytest.mark.parametrize("line", [SECRET, "export A", f"A {SECRET}", "-", f'"{SECRET}"', f"A: {SECRET}"])
def test_a_line_without_an_equals_sign_is_an_error_that_does_not_repeat_it(line: str) -> None:
    assert fault(f"# c\n{line}\nA=1") == '2: expected NAME = value, found a line without "="'


@pytest.mark.parametrize(
    "name",
    ["", "1A", "A-B", "A.B", "Ä", "A B", "export A B", "'A'", "A:", "$A", "\xa0A", "A[0]", "exportA B"],
)
def test_a_name_that_is_none_is_an_error_that_does_not_repeat_it(name: str) -> None:
    expected = '1: expected letters, digits and "_" as name before the "=", no digit first, found other text'
    assert fault(f"{name}={SECRET}") == expected


@pytest.mark.parametrize("written", ["it's", 'x"', 'a "b" c', "x'y'", '{"a": 1}', "${NO:-it's}", r"x\"y"])
def test_a_stray_quote_is_an_error(written: str) -> None:
    expected = "2: B: expected quotes around the whole value, or none, found a stray quote"
    assert fault(f"A=1\nB={written}\nC=2") == expected


@pytest.mark.parametrize(
    "written", ["'x'y", '"x"y', "'x''y'", "'x' y", '"x"#c', "'x' 'y'", "'it\\'s", '"" x']
)
def test_only_a_comment_may_follow_a_closing_quote(written: str) -> None:
    expected = "1: B: expected a blank and a comment, or nothing, behind the closing quote, found more"
    assert fault(f"B={written}\nC=2") == expected


def test_what_follows_the_closing_quote_of_a_later_line_is_an_error_with_both_lines() -> None:
    assert fault("A='it\nB='x'\nC=2") == (
        "1: A: expected a blank and a comment, or nothing, behind the closing quote in line 2, found more"
    )


@pytest.mark.parametrize(
    ("quote", "kind", "rest"),
    [("'", "single", 'x"\n'), ('"', "double", "x'\n"), ('"', "double", '\\"'), ('"', "double", "\\")],
)
def test_a_quote_without_its_end_is_an_error_with_the_line_of_its_beginning(
    quote: str, kind: str, rest: str
) -> None:
    text = f"A=1\nB={quote}{rest}\n{SECRET}\nSECRET\nC=3\n"
    assert fault(text) == f"2: B: expected a closing {kind} quote, found none"


def test_a_name_that_is_given_twice_is_an_error_with_both_lines() -> None:
    expected = "expected every name once, found it in line"
    assert faults("A=1\nB=2\n\nexport A=3\nA='4'\n") == [
        f".env:4: A: {expected} 1 already",
        f".env:5: A: {expected} 4 already",
    ]


def test_reserved_names_are_refused_where_that_is_asked_for(tmp_path: Path) -> None:
    text = "A=1\nJOB_NAME=x\nPUB_URL=\n"
    assert values_of(text) == {"A": "1", "JOB_NAME": "x", "PUB_URL": ""}
    expected = [
        ".env:2: JOB_NAME: expected a name that is not reserved, found one that pyjob sets",
        ".env:3: PUB_URL: expected a name that is not reserved, found one that pyjob sets",
    ]
    assert faults(text, reserved=("PUB_URL", "JOB_NAME")) == expected
    (tmp_path / ".env").write_text(text)
    with pytest.raises(ManifestError) as caught:
        read_env_file(tmp_path / ".env", ".env", {}, reserved=("PUB_URL", "JOB_NAME"))
    assert str(caught.value).splitlines() == expected


@pytest.mark.parametrize(
    ("bad", "name"),
    [("\0", "NUL"), ("\r", "a carriage return that ends no line"), ("\ud800", "half a character")],
)
def test_characters_that_are_no_text_are_an_error_with_their_line(bad: str, name: str) -> None:
    for text in ("A=1\n{}", "A=1\nB={}", "A=1\nB='{}'", "A='\n{}'", "A=1\n# {}\nB=1"):
        assert fault(text.format(f"{bad}x{bad}")) == f"2: expected text, found {name}"
    assert faults(f"{bad}x\n\n{bad}x") == [f".env:{n}: expected text, found {name}" for n in (1, 3)]


def test_all_faults_are_told_together_with_their_lines_and_names() -> None:
    error = error_of('A=it\'s\nwords\nB=${NO}${X\n\nC="a" b\nA=2\nD="x')
    assert [(problem.line, problem.path) for problem in error.problems] == [
        *((1, "A"), (2, ""), (3, ""), (3, "")),  # line 3 may belong to a value that begins in line 2
        *((5, "C"), (6, ""), (7, "D")),
    ]
    assert error.source == ".env"


def test_of_very_many_faults_the_first_hundred_are_told() -> None:
    lines = faults("x\n" * 500_000)
    assert lines[99] == '.env:100: expected NAME = value, found a line without "="'
    assert lines[100:] == [".env:101: expected at most 100 faults, found more"]


# Limits


def test_a_value_is_no_longer_than_what_a_process_can_be_given() -> None:
    longest = LARGEST_ENTRY - len("NAME=") - 1
    expected = "1: NAME: expected at most 131070 bytes of name and value, found more"
    assert len(value_of("x" * longest)) == len(value_of(f"'{'x' * longest}'")) == longest
    for written in ("x" * (longest + 1), f"'{'x' * (longest + 1)}'", "é" * (longest // 2 + 1)):
        assert fault(f"NAME={written}") == expected


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of Linux")
def test_a_process_can_be_given_the_longest_value_and_no_longer_one() -> None:
    longest = LARGEST_ENTRY - len("NAME=") - 1
    subprocess.run([sys.executable, "-c", ""], env={"NAME": "x" * longest}, check=True, timeout=60)
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run([sys.executable, "-c", ""], env={"NAME": "x" * (longest + 1)}, timeout=60)


def test_references_that_double_from_line_to_line_are_an_error() -> None:
    lines = ["A0=xxxxxxxxxx", *(f"A{n}=${{A{n - 1}}}${{A{n - 1}}}" for n in range(1, 40_000))]
    assert fault("\n".join(lines)) == "15: A14: expected at most 131070 bytes of name and value, found more"


def test_one_line_of_very_many_references_is_an_error() -> None:
    line = "B=" + "${A}" * (MIB // 4)
    assert fault(line, A="x" * 100_000).startswith("1: B: expected at most 131070 bytes")
    assert value_of("${A}" * (MIB // 4), A="") == ""


def test_very_many_long_values_are_an_error() -> None:
    text = "\n".join(f"B{n}=${{A}}" for n in range(100_000))
    expected = "11: B10: expected at most 1048576 characters in all values, found more"
    assert fault(text, A="x" * 100_000) == expected


@pytest.mark.parametrize(
    "piece",
    [
        *(" ", "\t#", "A", "export ", '"', "'", "\\", "${", "$", "#", "=", "\n", "${A:-", "A=${A}\n"),
        *('\\"', "'\n", '""\n', 'A="', "A='\n", "A =", " =", " # ", "\\\n", "${}", "A=\\${"),
    ],
)
@pytest.mark.parametrize("head", ["", "A=", 'A="', "A='", "A=${B:-", "export A "])
def test_a_mebibyte_of_anything_comes_to_an_end(head: str, piece: str) -> None:
    text = head + piece * (MIB // len(piece))
    try:
        parse_env(text, ".env", {})
    except ManifestError as error:
        assert len(str(error)) < 20_000


# Files


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=ä${B}\n", encoding="utf-8")
    (tmp_path / "link").symlink_to(".env")
    expected = EnvFile("x", {"A": "äb"}, {"A": 1})
    assert read_env_file(tmp_path / ".env", "x", {"B": "b"}) == expected
    assert read_env_file(tmp_path / "link", "x", {"B": "b"}) == expected


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "broken").symlink_to("nowhere")
    expected = ": expected an existing file, found"
    assert refused_file(tmp_path / "no" / "where") == f"{expected} nothing"
    assert refused_file(tmp_path / "round") == f"{expected} symbolic links that go round in a circle"
    assert refused_file(tmp_path / "broken") == f"{expected} a symbolic link to nothing"
    assert refused_file(tmp_path / "a\0b") == ": expected a path, found what cannot be one"
    assert "File name too long" in refused_file(tmp_path / ("a" * 5000))


def test_what_is_no_file_is_an_error_and_nobody_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert refused_file(tmp_path) == ": expected a file, found a folder"
    os.mkfifo(tmp_path / "fifo")
    assert refused_file(tmp_path / "fifo") == ": expected a file, found a FIFO"
    assert refused_file(Path("/dev/zero")) == ": expected a file, found a device"
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert refused_file(Path("socket")) == ": expected a file, found a socket"


def test_a_file_that_the_system_refuses_to_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / ".env").write_text("A=1")
    monkeypatch.setattr(os, "open", refuse)
    assert refused_file(tmp_path / ".env") == ": expected a file that can be read, found no permission"


@pytest.mark.parametrize("line", ["c2VjcmV0c2VjcmV0==", "A==b", "  export QUJDREVG== # c"])
def test_a_line_of_base64_is_no_name_and_is_not_repeated(line: str) -> None:
    with pytest.raises(ManifestError) as caught:
        parse_env(f"TOKEN =\n{line}\n", ".env", {})
    assert str(caught.value) == (
        '.env:2: expected NAME = value, with quotes around a value that begins with "=", found other text'
    )


def test_what_only_looks_like_a_file_and_would_have_its_reader_wait_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some files of /proc do, or a FIFO that takes a file's place after the look at it."""
    os.mkfifo(tmp_path / ".env")
    monkeypatch.setattr("pyjob.manifest.file.mode_of", lambda *_: stat.S_IFREG)
    writer = os.open(tmp_path / ".env", os.O_RDWR)
    try:
        assert refused_file(tmp_path / ".env") == ": expected a file, found something without an end"
    finally:
        os.close(writer)


def test_a_file_of_more_than_a_mebibyte_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"#" * MIB)
    assert read_env_file(file, ".env", {}).values == {}
    file.write_bytes(b"#" * (MIB + 1))
    assert refused_file(file) == ": expected at most 1048576 bytes, found more"


def test_bytes_that_are_no_utf_8_are_an_error_with_their_line_and_without_themselves(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"A=1\nB=hunter\xe9\n")
    assert refused_file(file) == ":2: expected UTF-8 text, found a byte that is no part of it"
    file.write_bytes("A=1".encode("utf-16"))
    assert refused_file(file) == ":1: expected UTF-8 text, found a byte that is no part of it"
    file.write_bytes(b"A=1\nB=\0")
    assert refused_file(file) == ":2: expected text, found NUL"


# Secrets


def test_an_env_file_does_not_show_its_values_to_a_debugger_or_a_log() -> None:
    assert SECRET not in repr(parse_env(f"A={SECRET}", ".env", {}))


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"export {SECRET}",
        f"my {SECRET} = x",
        f"{SECRET}! = x",
        f"A = {SECRET}'",
        f"A = '{SECRET}",
        f"A = '{SECRET}' x",
        f"A = 'x' {SECRET}",
        f"A = ${{{SECRET}!}}",
        f"A = ${{B {SECRET}}}",
        f"A = ${{B:-{SECRET}",
        f"A = ${{B:-{SECRET}${{C}}}}",
        f"A = {SECRET}${{B}}",
        f"A = {SECRET}\0",
        f"A = {SECRET}\nA = {SECRET}",
        f"A = x y{SECRET}\nwords\n{SECRET} = ${{B}}",
        f"A = 'x' y\n{SECRET} = ${{B}}",
        f"A = {SECRET * 100_000}",
    ],
)
def test_no_error_tells_what_may_be_a_secret(text: str) -> None:
    error = error_of(text)
    assert SECRET not in str(error)
    assert SECRET not in repr(error.problems)


def test_a_value_from_the_environment_is_not_told_either() -> None:
    error = error_of("A=x${B}it's\nC=${B}${NO}\nD=${B}\0", B=SECRET)
    assert SECRET not in str(error)


def test_a_very_long_name_is_cut() -> None:
    (line,) = faults(f"{'A' * 100_000}=${{{'B' * 100_000}}}")
    assert len(line) < 300


# Properties

names = st.from_regex(re.compile("[A-Za-z_][A-Za-z0-9_]{0,8}"), fullmatch=True)
printable = st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(" \t\n"))
pieces = st.sampled_from(
    [
        *("A", "B=", "=", "export ", " ", "\t", "\n", "\r\n", "\r", "#", " #", "'", '"', "\\", "\\n"),
        *('\\"', "\\\\", "$", "${", "}", "${A}", "${B:-", ":-", "${C:-x}", "\ufeff", "\0", "\ud800", "\x85"),
    ]
)
texts = st.lists(pieces | st.text(max_size=4), max_size=30).map("".join)


def outcome(text: str) -> EnvFile | tuple[Problem, ...]:
    """Read any text: what it sets, or what is wrong with it."""
    try:
        return parse_env(text, ".env", {"A": "a", "B": ""})
    except ManifestError as error:
        return error.problems


@settings(max_examples=300, database=None)
@given(texts)
def test_any_text_is_read_or_refused_with_lines(text: str) -> None:
    match outcome(text):
        case EnvFile(_, values, lines):
            assert values.keys() == lines.keys()
            assert all(name.isascii() and name.isidentifier() for name in values)
            assert not re.search("[\0\r\ud800-\udfff]", "".join(values.values()))
            assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
        case problems:
            assert problems
            assert all(str(problem).isprintable() for problem in problems)
            assert all(problem.line and problem.line <= text.count("\n") + 1 for problem in problems)


@settings(max_examples=100, database=None)
@given(st.binary(max_size=60))
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.env"
    file.write_bytes(data)
    try:
        assert isinstance(read_env_file(file, ".env", {}), EnvFile)
    except ManifestError as error:
        assert error.problems


@settings(max_examples=200, database=None)
@given(st.dictionaries(names, printable, max_size=5), st.booleans())
def test_any_printable_text_in_double_quotes_comes_back(values: dict[str, str], windows: bool) -> None:
    # `\$` stays as it is written: a literal `${` is a dollar from another line.
    text = "__dollar='$'\n"
    for name, value in values.items():
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("${", "${__dollar}{")
        text += f'{name} = "{escaped}"  # {name}\n'
    if windows:
        text = text.replace("\n", "\r\n")
    assert values_of(text) == {"__dollar": "$", **values}


@settings(max_examples=200, database=None)
@given(st.dictionaries(names, printable.map(lambda text: text.replace("'", "")), max_size=5))
def test_any_printable_text_without_single_quotes_in_single_quotes_comes_back(values: dict[str, str]) -> None:
    text = "".join(f"export {name}='{value}'\n" for name, value in values.items())
    assert values_of(text) == values


PLACES = [
    *("A={}", "A={}'", "A='{}'", "A='{}' x", 'A="{}"', 'A="{}', "A='{}", "{}", "export {}", "{}=x"),
    *(
        "A {}",
        "A='x' {}",
        "A=${{{}}}",
        "A=${{B:-{}",
        "A=${{B:-{}}}",
        "A=x # {}",
        'A="${{B:-{}}}"',
        "A=${{B}}{}",
    ),
]
planted = st.text(st.sampled_from("ЖЩЮЯ") | st.sampled_from("'\"\\${}#= \t\n:-."), min_size=4, max_size=20)


@settings(max_examples=400, database=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), planted), min_size=1, max_size=6))
def test_no_error_holds_four_characters_of_what_was_written(lines: list[tuple[str, str]]) -> None:
    """Four in a row with a letter among them: four of punctuation, as in ``"="``, tell nothing."""
    match outcome("\n".join(place.format(secret) for place, secret in lines)):
        case tuple() as problems:
            message = repr(problems) + str(ManifestError(".env", problems))
            for _, secret in lines:
                for start in range(len(secret) - 3):
                    run = secret[start : start + 4]
                    assert run not in message or not any(map(str.isalpha, run))


@settings(max_examples=200, database=None)
@given(st.binary(min_size=6, max_size=60), st.sampled_from(["", "'", '"']), st.integers(4, 64))
def test_no_error_tells_a_part_of_a_key_that_is_not_quoted_as_it_should_be(
    key: bytes, quote: str, width: int
) -> None:
    """Its lines may look like variables: base64 ends with ``=``."""
    body = base64.b64encode(key).decode()
    wrapped = "\n".join(body[at : at + width] for at in range(0, len(body), width))
    text = f"KEY={quote}-----BEGIN KEY-----\n{wrapped}\n-----END KEY-----\nOTHER=it's\n"
    message = str(error_of(text))
    assert not any(body[at : at + 4] in message for at in range(len(body) - 3))


blanks = st.text(st.sampled_from(" \t"), max_size=2)
plain = st.sampled_from([*"aZ0é$:-=!&/🌳 \t"])
comments = st.just("") | st.text(plain | st.sampled_from("#'\"\\{"), max_size=6).map(lambda text: f" #{text}")


@st.composite
def common_lines(draw: st.DrawFn, name: str, known: list[str]) -> str:
    """One line of the grammar that env files and python-dotenv share."""
    references = [*(f"${{{other}}}" for other in known), "${FULL}", "${FULL:-no}", "${NO:-a \\z}", "${NO:-}"]
    reference = st.sampled_from(references)
    unquoted = st.lists(plain | st.sampled_from(["#", "\\", "\\n"]) | reference, max_size=6)
    double = st.lists(
        plain | st.sampled_from(["#", "'", "\n", '\\"', "\\\\.", "\\n", "\\t", "\\x", "\\#"]) | reference,
        max_size=6,
    )
    single = st.lists(plain | st.sampled_from(["#", '"', "\n"]), max_size=6)
    value = draw(
        unquoted.map(lambda parts: "".join(parts).strip(" \t")).filter(lambda text: not text.startswith("="))
        | double.map(lambda parts: f'"{"".join(parts)}"')
        | single.map(lambda parts: f"'{''.join(parts)}'")
    )
    export = draw(st.sampled_from(["", "export ", "export\t "]))
    before, behind = draw(blanks), draw(blanks)
    around = "" if value.startswith("#") else draw(blanks)
    comment = draw(comments) if value else ""
    return f"{draw(blanks)}{export}{name}{before}={around}{value}{comment}{behind}"


@st.composite
def common_files(draw: st.DrawFn) -> str:
    """A whole file of it."""
    known: list[str] = []
    lines: list[str] = []
    for name in draw(
        st.lists(names.filter(lambda name: name not in ("FULL", "NO")), unique=True, max_size=6)
    ):
        lines += draw(st.lists(st.sampled_from(["", "  ", "# it's", "\t#x=1"]), max_size=1))
        lines.append(draw(common_lines(name, known)))
        known.append(name)
    return "\n".join([*lines, ""]).replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


@settings(max_examples=300, database=None)
@given(common_files())
def test_what_python_dotenv_reads_alike_has_the_same_values(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    """Where both promise something and promise the same, both keep it.

    Left out, as python-dotenv reads it in another way: ``${...}`` inside of single quotes (it replaces them),
    backslashes inside of single quotes (it knows two pairs), its further pairs inside of double quotes
    (``\\a \\b \\f \\r \\v \\'``), a reference behind a backslash inside of double quotes (it replaces that,
    too), a default for what is set but empty (it keeps the empty value), blanks other than space and tab
    around a value (it strips them), repeated names (its last one wins), and all that is an error here. Before
    1.2.4, it also takes ``"\\\\"`` for a quote without end, and ``#`` behind ``= `` for a value.
    """
    dotenv = pytest.importorskip("dotenv")
    os.environ["FULL"] = "f u"
    os.environ.pop("NO", None)
    file = tmp_path_factory.getbasetemp() / "common.env"
    file.write_bytes(text.encode())
    environ = {"FULL": "f u"}
    assert read_env_file(file, ".env", environ).values == dotenv.dotenv_values(file, encoding="utf-8")

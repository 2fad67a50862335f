"""What pip printed, in one line; as versions 23 and 26 of it print it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyjob.ship.requirements.reason import is_about, is_conflict_of, is_silent, reason_of

CONFLICT = """\
Collecting b<2 (from a->-r requirements.txt (line 2))
ERROR: Cannot install a and c because these package versions have conflicting dependencies.

The conflict is caused by:
    a 1 depends on b<2
    The user requested (constraint) b (from file:///runtime/b-2-py3-none-any.whl)

Additionally, some packages in these conflicts have no matching distributions available for your environment:
    b

To fix this you could try to:
1. loosen the range of package versions you've specified

ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/en/latest/topics/dependency-resolution/
"""
NO_VERSION = """\
ERROR: Could not find a version that satisfies the requirement leaf>=7 (from lib) (from versions: 1.0, 2.0)
ERROR: No matching distribution found for leaf>=7
"""
NOTHING = """\
ERROR: Could not find a version that satisfies the requirement leaf (from versions: none)
ERROR: No matching distribution found for leaf
"""
CLONE_23 = """\
Collecting lib@ git+http://example.com/lib.git (from -r requirements.txt (line 1))
  Running command git clone --filter=blob:none --quiet http://example.com/lib.git /tmp/lib
  fatal: Authentication failed for 'http://example.com/lib.git/'
  error: subprocess-exited-with-error

  × git clone --filter=blob:none --quiet http://example.com/lib.git /tmp/lib did not run successfully.
  │ exit code: 128
  ╰─> See above for output.

  note: This error originates from a subprocess, and is likely not a problem with pip.
error: subprocess-exited-with-error
"""
CLONE_26 = CLONE_23.replace("See above for output", "No available output").replace(
    "\nerror: subprocess",
    "\nERROR: Failed to build 'lib' when git clone http://example.com/lib.git\nerror: subprocess",
)
BROKEN = """\
Collecting grown (from -r requirements.txt (line 2))
  Preparing metadata (pyproject.toml): finished with status 'error'
  error: subprocess-exited-with-error

  × Preparing metadata (pyproject.toml) did not run successfully.
  │ exit code: 1
  ╰─> [3 lines of output]
      compiling
      error: command 'gcc' failed: No such file or directory
      [end of output]

  note: This error originates from a subprocess, and is likely not a problem with pip.
error: metadata-generation-failed

× Encountered error while generating package metadata.
╰─> See above for output.
"""
NOT_BUILT = """\
  × Building wheel for grown (pyproject.toml) did not run successfully.
  │ exit code: 1
  ╰─> [2 lines of output]
      src.c:1:10: fatal error: Python.h: No such file or directory
      ValueError: what is this
      [end of output]
  ERROR: Failed building wheel for grown
Failed to build grown
ERROR: Failed to build one or more wheels
"""
OTHER_HASH = """\
ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated, ...
    leaf==1.0 from http://example.com/leaf-1.0.tar.gz (from -r requirements.txt (line 2)):
        Expected sha256 aaaa
             Got        bbbb

"""
DIRECT = """\
  ERROR: HTTP error 403 while getting http://example.com/leaf.whl
ERROR: Could not install leaf because of HTTP error 403 Client Error: No for url: http://example.com/leaf.whl
"""
OF_NOTHING = """\
ERROR: Invalid requirement: './libx': Expected package name at the start of dependency specifier
    ./libx
    ^ (from line 1 of requirements.txt)
Hint: It looks like a path. File './libx' does not exist.
"""
SOURCE_23 = """\
Processing ./the house/greeting-1.0.tar.gz (from -r requirements.txt (line 1))
  Installing build dependencies: finished with status 'error'
  error: subprocess-exited-with-error

  × pip subprocess to install build dependencies did not run successfully.
  │ exit code: 1
  ╰─> [3 lines of output]
      Looking in links: file:///the%20house
      ERROR: Could not find a version that satisfies the requirement setuptools>=40.8.0 (from versions: none)
      ERROR: No matching distribution found for setuptools>=40.8.0
      [end of output]

  note: This error originates from a subprocess, and is likely not a problem with pip.
error: subprocess-exited-with-error
"""
SOURCE_26 = SOURCE_23.replace(
    "pip subprocess to install build dependencies", "installing build dependencies for greeting"
).replace("\nerror: subprocess-exited-with-error", "\nERROR: Failed to build 'greeting'")
# Of another distribution than the one that is not there.
DETAILS = """\
2 location(s) to search for versions of grown:
* http://x/grown/
* http://y/grown/
  Link requires a different Python (3.11.7 not in: '>=4'): http://x/grown-9.zip (from http://x/grown/)
  Skipping link: 9.0 Requires-Python >=4: http://x/grown-9.zip (from http://x/grown/) (requires-python:>=4)
  Skipping link: none of the wheel's tags (cp27-cp27m-win32) are compatible (run pip debug): http://x/grown.whl
Could not fetch URL http://y/grown/: 404 Client Error: Not Found for url: http://y/grown/ - skipping
"""
OTHERS = (
    "ERROR: Ignored the following versions that require a different python version: 9.0 Requires-Python >=4\n"
)
FULL = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"


def reason(said: str, details: str = "", wheelhouse: Path | None = None) -> str:
    return reason_of(said.splitlines(), details.splitlines(), wheelhouse)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (
            CONFLICT,
            "ResolutionImpossible: a 1 depends on b<2; The user requested (constraint) b (from "
            "file:///runtime/b-2-py3-none-any.whl)",
        ),
        (NO_VERSION, "no matching distribution found for leaf>=7 (from lib) (there are 1.0, 2.0)"),
        (NOTHING, "no matching distribution found for leaf"),
        (CLONE_23, "git clone failed: Authentication failed for 'http://example.com/lib.git/'"),
        (CLONE_26, "git clone failed: Authentication failed for 'http://example.com/lib.git/'"),
        (
            BROKEN,
            "grown: Preparing metadata (pyproject.toml) failed: command 'gcc' failed: No such file or "
            "directory (there is no compiler: install one, or have a wheel of it)",
        ),
        (NOT_BUILT, "Building wheel for grown (pyproject.toml) failed: Python.h: No such file or directory"),
        (
            OTHER_HASH,
            "another hash than in the requirements: leaf==1.0 from http://example.com/leaf-1.0.tar.gz "
            "(from -r requirements.txt (line 2)): Expected sha256 aaaa Got        bbbb",
        ),
        (DIRECT, "the server does not let this user in (403 for http://example.com/leaf.whl)"),
        (FULL, "No space left on device (TMPDIR names another folder for what is temporary)"),
        ("ERROR: Invalid requirement: 'x x'\n\n", "Invalid requirement: 'x x'"),
        (
            OF_NOTHING,
            "Invalid requirement: './libx': Expected package name at the start of dependency specifier. "
            "It looks like a path. File './libx' does not exist",
        ),
        (
            "  fatal: '/x' does not appear to be a git repository\n"
            "  fatal: Could not read from remote repository.\n"
            "  × git clone --quiet file:///x /tmp/x did not run successfully.\n",
            "git clone failed: '/x' does not appear to be a git repository",
        ),
        ("Something of a kind that nobody knows\n\n", "Something of a kind that nobody knows"),
        (
            "ERROR: Exception:\nTraceback (most recent call last):\n  x\nAssertionError: a\n",
            "AssertionError: a",
        ),
        ("", "it says nothing"),
        (f"ERROR: {'long ' * 200}", f"{'long ' * 99}lo..."),
    ],
)
def test_the_reason_is_one_line(said: str, expected: str) -> None:
    assert reason(said) == expected


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        (
            "Could not fetch URL http://x/leaf/: 401 Client Error: No for url: http://x/leaf/ - skipping",
            ": the server does not know this user and password (401 for http://x/leaf/)",
        ),
        (
            "  Skipping link: none of the wheel's tags (cp27-cp27m-win32) are compatible (run pip debug): http://x",
            " for this platform (there are wheels for cp27-cp27m-win32)",
        ),
        ("Could not fetch URL http://x/leaf/: 404 Client Error: Not Found for url: http://x/leaf/", ""),
    ],
)
def test_details_tell_why_an_index_has_nothing(details: str, expected: str) -> None:
    assert is_silent(NOTHING.splitlines())
    assert reason(NOTHING, details) == f"no matching distribution found for leaf{expected}"


def test_an_index_that_is_not_there_is_no_silent_one() -> None:
    said = (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...)': /\n"
        + NOTHING
    )
    assert not is_silent(said.splitlines())
    assert reason(said).endswith("found for leaf: the index cannot be reached (NewConnectionError)")


def test_versions_for_another_python_are_told() -> None:
    others = "1.0 Requires-Python >=4"
    said = f"ERROR: Ignored the following versions that require a different python version: {others}\n"
    assert reason(said + NOTHING).endswith(f"found for leaf for this Python (there are {others})")


def test_a_name_that_no_index_knows_is_told_whatever_there_is_of_others() -> None:
    details = (
        DETAILS
        + """\
2 location(s) to search for versions of leaf:
* http://x/leaf/
* http://y/leaf/
Could not fetch URL http://x/leaf/: 404 Client Error: Not Found for url: http://x/leaf/ - skipping
"""
    )
    assert reason(OTHERS + NOTHING, details) == "no matching distribution found for leaf"
    details += "Could not fetch URL http://y/leaf/: 404 Client Error: Not Found for url: http://y/leaf/\n"
    assert reason(OTHERS + NOTHING, details).endswith(
        "found for leaf: the index has no package of that name (404 for http://y/leaf/)"
    )
    told = reason(OTHERS + NOTHING.replace("leaf", "grown"), DETAILS)
    assert told.endswith("found for grown for this Python (there are 9.0 Requires-Python >=4)")


@pytest.mark.parametrize("said", [SOURCE_23, SOURCE_26])
def test_what_a_wheelhouse_has_as_source_only_is_told(said: str, tmp_path: Path) -> None:
    assert reason(said, wheelhouse=tmp_path) == (
        "greeting-1.0.tar.gz is there as source only, and setuptools>=40.8.0, which builds it, is not in the "
        "wheelhouse: have a wheel of it there (`pip wheel greeting-1.0.tar.gz` makes one)"
    )
    assert reason(said) == "no matching distribution found for setuptools>=40.8.0"
    (tmp_path / "leaf-1.0.tar.gz").touch()
    assert reason(NOTHING, wheelhouse=tmp_path).endswith(
        "leaf as a wheel (the wheelhouse has leaf-1.0.tar.gz, of which `pip wheel` makes one)"
    )


def test_a_wheelhouse_has_others_or_none(tmp_path: Path) -> None:
    assert reason(NOTHING, wheelhouse=tmp_path) == "no matching distribution found for leaf in the wheelhouse"
    (tmp_path / "Leaf-1.0-cp27-cp27m-win32.whl").touch()
    (tmp_path / "leaf_less-1.0-py3-none-any.whl").touch()
    assert reason(NOTHING, wheelhouse=tmp_path).endswith(
        "leaf for this platform (the wheelhouse has Leaf-1.0-cp27-cp27m-win32.whl)"
    )


def test_whether_a_failure_is_about_what_is_installed_here() -> None:
    assert is_about(CONFLICT.splitlines(), ["b"])
    assert not is_about(CONFLICT.splitlines(), ["c"])
    assert is_conflict_of(CONFLICT.splitlines(), "a")
    assert is_conflict_of(CONFLICT.replace("a 1", "A[docs,more] 1").splitlines(), "a")
    assert not is_conflict_of(CONFLICT.splitlines(), "b")
    assert is_about(NO_VERSION.splitlines(), ["leaf"])
    assert not is_about(BROKEN.splitlines(), ["grown", "command"])

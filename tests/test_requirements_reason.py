"""What pip printed, in one line; as versions 23 and 26 of it print it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyjob.ship.requirements.reason import is_about, is_silent, reason_of

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
    assert is_about(NO_VERSION.splitlines(), ["leaf"])
    assert not is_about(BROKEN.splitlines(), ["grown", "command"])

"""The start of a built file: `pyjob build` puts this module's text in front of what pex would do.

Packages are unpacked into a virtual environment below the temporary folder, so that neither HOME nor any
other place is needed, and the next start finds it there. pex does as much; it needs three times as long for
the first start, and more for the next. Where a variable of pex's asks for its tools, it is left to do so.

Nothing is imported but the standard library, of whatever Python this was started with.
"""

import fcntl
import os
import platform
import signal
import stat
import sys
import tempfile
import time
import zlib
from pathlib import Path

TYPE_CHECKING = False  # that of typing is slow to import
if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterable

LOCK_VARIABLE = "PYJOB_BUNDLE_LOCK"
PEX_VARIABLES = ("PEX_INTERPRETER", "PEX_TOOLS")
# By these, what is here would mix with what is inside.
MIXING = ("PYTHONPATH", "PYTHONHOME", "PYTHONEXECUTABLE")
PART = "part-"
# Who keeps temporary folders clean removes single files that nobody has used for ten days.
FRESH = 5 * 86400
# Where nobody cleans, each new version would leave its own behind.
UNUSED = 30 * 86400
WHEELS = ".deps/"
# Of wheels, what does not belong beside the modules (PEP 427), and where it goes instead.
SCHEMES = {"purelib": "", "platlib": "", "data": "../../..", "scripts": "../../../bin"}


def start(python: str, machine: str, identity: str, module: str, folder: str) -> None:
    """Run ``module`` in place of this process, with this file and its arguments.

    Ends where this is not ``python`` (``3.11``) on ``machine`` (``Linux x86_64``). ``identity`` is that of
    what is packed: what was unpacked for the same is used again. ``folder`` in the file is unpacked, too.
    """
    if any(os.environ.get(name, "").lower() in ("1", "true") for name in PEX_VARIABLES):
        return
    file = sys.argv[0]
    if python_here() != python:
        sys.exit(f"{file}: needs Python {python}, and this is {python_here()}: python{python} {file}")
    if machine_here() != machine:
        sys.exit(f"{file}: was built for {machine}, and this is {machine_here()}: build it on such a machine")
    for name in MIXING:
        os.environ.pop(name, None)
    if os.getpid() == 1:  # of a container: by default, it would not hear of it
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        program = str(_environment(file, identity, folder) / "bin" / f"python{python}")
        # The interpreter that was just made, with arguments of its own.
        os.execv(program, [program, "-sP", "-m", module, file, *sys.argv[1:]])  # nosec B606
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except OSError as error:
        where, why = error.filename or tempfile.gettempdir(), error.strerror or error
        sys.exit(f"{file}: cannot be unpacked: {where}: {why} (TMPDIR names another place)")


def _environment(file: str, identity: str, folder: str) -> Path:
    """The virtual environment of what is packed, made where it is not there yet."""
    root = _private(own_folder() / identity)
    if os.statvfs(root).f_flag & os.ST_NOEXEC:
        sys.exit(f"{root}: nothing there may be executed (noexec): set TMPDIR to another place")
    _lock(root)
    # It links to this interpreter, and another one may come.
    environment = root / f"venv-{zlib.crc32(f'{sys.version} {sys.base_prefix}'.encode()):08x}"
    if not environment.is_dir():
        _remove_unused(root.parent)
        _unpack(file, environment, folder)
    return environment


def python_here() -> str:
    """The version of Python that packages are made for."""
    return "{}.{}".format(*sys.version_info)


def machine_here() -> str:
    """System and processor."""
    return f"{platform.system()} {platform.machine()}"


def own_folder() -> Path:
    """The folder of this user below the temporary one; ends the process where it is somebody else's."""
    try:
        temporary = tempfile.gettempdir()
    except OSError:
        sys.exit("there is no temporary folder that can be written to: set TMPDIR to one")
    return _private(Path(temporary, f"pyjob-{os.getuid()}"))


def _private(folder: Path) -> Path:
    """A folder that only this user may look into, made where it is not there: others write to /tmp, too."""
    try:
        folder.mkdir(0o700, exist_ok=True)
        state = folder.lstat()
    except OSError as error:
        sys.exit(f"{folder}: {error.strerror}: set TMPDIR to a folder that can be written to")
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid() or state.st_mode & 0o077:
        sys.exit(f"{folder}: expected a folder of this user alone: remove it, or set TMPDIR to another place")
    return folder


def _lock(root: Path) -> None:
    """Keep ``root`` from being cleaned while this process lives; empty it where that may have happened."""
    stamp = root / "used"
    held = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process runs from there
        pass
    else:
        is_old = not stamp.exists() or stamp.stat().st_mtime < time.time() - FRESH
        # Parts are of processes that were killed while they unpacked.
        _remove(root.iterdir() if is_old else root.glob(f"{PART}*"))
    fcntl.flock(held, fcntl.LOCK_SH)
    stamp.touch()
    os.set_inheritable(held, True)  # by what runs in place of this process
    os.environ[LOCK_VARIABLE] = str(held)


def _remove_unused(own: Path) -> None:
    """Remove what was unpacked of files that nobody has started for long, and that do not run."""
    for stamp in own.glob("*/used"):
        try:
            if stamp.stat().st_mtime > time.time() - UNUSED:
                continue
            held = os.open(stamp.parent, os.O_RDONLY)
        except OSError:  # another process was quicker
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The folder stays: a process that waits for its lock will unpack into it.
            _remove(stamp.parent.iterdir())
        except OSError:
            pass
        finally:
            os.close(held)


def _remove(paths: "Iterable[Path]") -> None:
    for path in [*paths]:
        import shutil  # it is slow, and few starts need it

        shutil.rmtree(path, ignore_errors=True)


def _unpack(file: str, environment: Path, folder: str) -> None:
    """Make the virtual ``environment`` of the wheels in ``file``, whole or not at all. Raises `OSError`."""
    import shutil  # only the first start needs these
    import venv
    import zipfile

    if not sys.executable:  # called by its name, without a PATH, it does not know where it is
        sys.executable = str(Path("/proc/self/exe").resolve())
        setattr(sys, "_base_executable", sys.executable)  # noqa: B010  which venv asks for
    part = Path(tempfile.mkdtemp(prefix=PART, dir=environment.parent))
    try:
        venv.EnvBuilder(symlinks=True).create(part)
        site = part / "lib" / f"python{python_here()}" / "site-packages"
        with zipfile.ZipFile(file) as packed:
            for name in packed.namelist():
                if name.startswith(WHEELS) and name.endswith(".whl"):
                    wheel = Path(packed.extract(name, part))
                    with zipfile.ZipFile(wheel) as unpacked:
                        _install(unpacked, site)
                    wheel.unlink()
                elif name.startswith(f"{folder}/"):
                    packed.extract(name, site)
        part.rename(environment)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        sys.exit(f"{file}: is damaged: {error}: copy it again")
    except OSError:
        if not environment.is_dir():  # else another process was quicker
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _install(wheel: "zipfile.ZipFile", site: Path) -> None:
    """Unpack ``wheel`` into the folder ``site`` of a virtual environment."""
    for member in wheel.infolist():
        first, _, rest = member.filename.partition("/")
        scheme, _, inner = rest.partition("/")
        goal = site
        if first.endswith(".data"):
            if scheme not in SCHEMES or not inner:
                continue
            member.filename, goal = inner, Path(os.path.normpath(site / SCHEMES[scheme]))
        target = wheel.extract(member, goal)
        if member.external_attr >> 16 & 0o100 and not member.is_dir():
            Path(target).chmod(0o755)

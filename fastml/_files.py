"""Files: written whole or not at all, and read without trust in what they hold."""

import errno
import os
import re
import secrets
import stat
from contextlib import contextmanager, suppress

from . import _check

try:
    import fcntl
except ImportError:  # no POSIX: no locks, owners and modes
    fcntl = None


@contextmanager
def replacing(path):
    """A binary file to write, which takes the place of ``path`` at the end of the block, and only if nothing is raised.

    It is written beside it under a name of its own, ``<name>.<16 hex digits>.tmp``, synced and moved. So whoever opens
    ``path``, in any thread or process, finds the old file or the new one. A killed process leaves the other name
    behind, and the next one that writes to ``path`` removes it. What is being written has a lock, which ends with its
    process. A symlink stays, and the file that it leads to is replaced. A file keeps its mode and owner. A FIFO or a
    device is written to as it is.

    Raises OSError that names ``path``; PermissionError also for a file that is read-only.
    """
    path = os.fsdecode(_check.path(path))
    try:
        old = os.stat(path)
    except FileNotFoundError:
        old = None
    if (old and not stat.S_ISREG(old.st_mode)) or not os.path.basename(path):
        with open(path, "wb") as file:
            yield file
        return
    if old and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    _remove_left(folder, name[:50])
    scratch = None
    try:
        file, scratch = _begin(folder, name[:50])
        with file:
            if old and fcntl:
                with suppress(PermissionError):
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
            if fcntl:
                os.replace(scratch, target)  # before the lock ends
        if not fcntl:
            os.replace(scratch, target)  # Windows moves no open file
    except BaseException as error:
        if scratch is not None:
            with suppress(OSError):
                os.unlink(scratch)
        if isinstance(error, OSError) and error.errno and error.filename in (None, scratch):
            raise type(error)(error.errno, error.strerror, path) from None
        raise
    _sync_folder(folder)


def _begin(folder, name):
    """A new file beside the one to come, locked, and its path."""
    while True:
        scratch = os.path.join(folder, f"{name}.{secrets.token_hex(8)}.tmp")
        try:
            file = open(scratch, "xb")  # noqa: SIM115 - the caller's
        except OSError as error:
            raise type(error)(error.errno, error.strerror) from None
        if not _lock(file.fileno()) or os.path.exists(scratch):
            return file, scratch
        file.close()  # another writer took it for one left behind, before it was locked


def _remove_left(folder, name):
    """Remove the scratch files of this name whose process has ended: nobody holds their lock."""
    left = re.compile(re.escape(name) + r"\.[0-9a-f]{16}\.tmp")
    with suppress(OSError):
        for path in [entry.path for entry in os.scandir(folder) if left.fullmatch(entry.name)]:
            with suppress(OSError), open(path, "rb") as file:
                if _lock(file.fileno(), at_once=True):
                    os.unlink(path)


def _lock(descriptor, at_once=False):
    """Whether the file could be locked; where a file system or a platform has no locks, none can."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (fcntl.LOCK_NB if at_once else 0))
    except OSError:
        return False
    return True


def _sync_folder(folder):
    """The move itself is on the disk; not every file system can tell."""
    with suppress(OSError):
        place = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)


@contextmanager
def reading(path, kind, own=()):
    """Whatever is raised over what the file holds becomes a ValueError: ``path is not a <kind>: …``.

    Readers of archives and compressed data raise many types over a damaged file. An OSError of the system and the
    exceptions of the types ``own``, the caller's words about the file, stay what they are.
    """
    try:
        yield
    except own:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        memory = isinstance(error, MemoryError)
        reason = "it needs more memory than there is" if memory else str(error) or type(error).__name__
        raise ValueError(f"{os.fsdecode(path)} is not a {kind}: {reason}") from error

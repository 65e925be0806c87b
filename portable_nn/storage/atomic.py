"""A file that is replaced as a whole, or stays as it was; and opening files without waiting."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import stat
import zlib
from collections.abc import Iterator

from portable_nn.storage.refusal import Unreadable

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

UNFINISHED = ".portable_nn-part"
BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)
WITHOUT_WAITING = getattr(os, "O_NONBLOCK", 0)  # for the other end of a pipe
# some systems and file systems cannot synchronize a folder, or let nobody open it
NO_FOLDER_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF, errno.EISDIR)


@contextlib.contextmanager
def replacing(path: str) -> Iterator[io.FileIO]:
    """A new file beside `path`, which takes its place at the end of the block; on the disk by then.

    If anything goes wrong, the new file is removed and the old one is as it was. A symbolic link is
    followed; the permissions of the old file are kept. Raises OSError, of the kind that the cause has,
    with the path.
    """
    target = os.path.realpath(path)
    check_replaceable(path, target)
    with _naming(path):
        part, file = _new_file(target)
    try:
        with _naming(path):
            _keep_permissions(target, part)
            yield file
            os.fsync(file.fileno())
            if os.name == "nt":  # elsewhere it stays locked until it has its name
                file.close()
            os.replace(part, target)
    except BaseException:
        if os.name == "nt":
            file.close()
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
    finally:
        file.close()
    _sync_folder(os.path.dirname(target))


def replace_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file that is replaced as a whole, or stays as it was; OSError where that fails."""
    with replacing(os.fsdecode(os.fspath(path))) as file:
        write_all(file, memoryview(content))


def write_all(file: io.FileIO, content: memoryview) -> None:
    """Write all of the bytes; a file without a buffer may take a part of them at a time."""
    while content:
        content = content[file.write(content) or 0 :]


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """An OSError in the block says what could not be written."""
    try:
        yield
    except OSError as error:
        cause = error.strerror or str(error)
        if isinstance(error, FileNotFoundError):
            cause = "its folder is not there, make it first"
        text = f"cannot write the file: {cause}; what was there before is unchanged"
        raise OSError(error.errno or errno.EIO, text, path) from error


def _new_file(target: str) -> tuple[str, io.FileIO]:
    """An empty file beside the target, open for writing, and its path."""
    folder, name = os.path.split(target)
    part = os.path.join(folder, f".{zlib.crc32(os.fsencode(name)):08x}{UNFINISHED}")
    file = open_abandoned(part)
    if file is None:
        part = os.path.join(folder, f".{secrets.token_hex(8)}{UNFINISHED}")
        file = io.FileIO(part, "xb")
    return part, file


def open_abandoned(part: str) -> io.FileIO | None:
    """The file of this name, new or left behind by a process that was killed, emptied and locked.

    So processes that are killed leave one file behind, not many. None where another process is writing
    it, where it is not certainly the user's own, or where the system has no locks.
    """
    if fcntl is None:
        return None
    flags = os.O_RDWR | os.O_CREAT | BINARY | WITHOUT_WAITING | getattr(os, "O_NOFOLLOW", 0)
    try:
        file = io.FileIO(part, "r+b", opener=lambda name, _: os.open(name, flags, 0o666))
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mine, there = os.fstat(file.fileno()), os.stat(part, follow_symlinks=False)
        is_own = stat.S_ISREG(mine.st_mode) and mine.st_uid == os.geteuid() and mine.st_nlink == 1
        if is_own and os.path.samestat(mine, there):  # else another has given it its final name
            file.truncate(0)
            return file
    except OSError:
        pass
    file.close()
    return None


def check_replaceable(path: str, target: str) -> None:
    """Raise OSError where something stands at the path that is no regular file: a folder, a device."""
    try:
        mode = os.stat(target).st_mode
    except OSError:  # nothing is there; or it cannot be, which creating the new file will tell
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "this is a folder; accepted: the path of a file", path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "this is a device or a pipe; accepted: the path of a file", path)


def open_regular(path: str) -> io.FileIO:
    """The file, open for reading; Unreadable for what is no regular file, OSError if it is not there."""

    def check(mode: int) -> None:
        if stat.S_ISDIR(mode):
            text = "this is a folder; accepted: the path of a file that portable_nn.save wrote"
            raise IsADirectoryError(errno.EISDIR, text, path)
        if not stat.S_ISREG(mode):
            raise Unreadable("it is a device or a pipe", "give the path of a regular file")

    check(os.stat(path).st_mode)  # before it is opened: opening some devices has effects

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | BINARY | WITHOUT_WAITING)

    file = io.FileIO(path, "rb", opener=opener)
    try:
        check(os.fstat(file.fileno()).st_mode)  # it may have been exchanged meanwhile
    except BaseException:
        file.close()
        raise
    return file


def _keep_permissions(target: str, part: str) -> None:
    with contextlib.suppress(OSError):
        os.chmod(part, stat.S_IMODE(os.stat(target).st_mode))


def _sync_folder(folder: str) -> None:
    """Bring the folder's entry of the new file to the disk."""
    if os.name == "nt":
        return
    try:
        number = os.open(folder, os.O_RDONLY | BINARY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise

"""A file that is replaced as a whole, or stays as it was; and opening files without waiting."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import secrets
import stat
from collections.abc import Iterator

from portable_nn.storage.refusal import Unreadable

PART = ".portable_nn-part"  # the end of the name of an unfinished file
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
    part = os.path.join(os.path.dirname(target), f"{_first_part(target)}{secrets.token_hex(8)}{PART}")
    try:
        with io.FileIO(part, "xb") as file:
            _keep_permissions(target, part)
            yield file
            os.fsync(file.fileno())
        os.replace(part, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(part)
        if isinstance(error, OSError):
            cause = error.strerror or str(error)
            text = f"cannot write the file: {cause}; what was there before is unchanged"
            raise OSError(error.errno or errno.EIO, text, path) from error
        raise
    _sync_folder(os.path.dirname(target))


def remove_leftovers(path: str) -> None:
    """Remove the unfinished files of processes that were killed while they wrote to this path.

    One that is still being written is removed too: its writer gets an OSError.
    """
    target = os.path.realpath(path)
    folder, begins = os.path.dirname(target), _first_part(target)
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if name.startswith(begins) and name.endswith(PART):
                os.unlink(os.path.join(folder, name))


def _first_part(target: str) -> str:
    """How the name of an unfinished file begins: with the file's own, shortened for any system."""
    return f".{os.path.basename(target)[:60]}."


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

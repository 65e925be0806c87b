"""The folder of cached loops. Code is loaded from it, so only the user may be able to write there."""

from __future__ import annotations

import functools
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

PRIVATE = 0o700
UNFINISHED = ".part"  # the suffix of a file that is being written
ABANDONED = 3600.0  # seconds after which nobody is still writing it


def cache_folder() -> Path | None:
    """The folder of cached loops; None if there is none to which the user alone can write."""
    return folder_of(os.geteuid() if hasattr(os, "geteuid") else 0)


@functools.cache
def folder_of(user: int) -> Path | None:
    """The folder of cached loops of the user that this process acts for now."""
    given = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", "")
    if not os.path.isabs(given):  # a relative one is to be ignored, says the XDG specification
        given = os.path.join(os.path.expanduser("~"), ".cache")
    if not os.path.isabs(given):  # the user has no home
        return None
    try:
        folder = private_folder(Path(given, "portable_nn", "loops"))
        remove_unfinished(folder)
    except (OSError, ValueError):
        return None
    return folder


def private_folder(folder: Path) -> Path:
    """A folder and its parent, made if missing and the user's alone; its path without symbolic links.

    Raises PermissionError if anybody but the user and the administrator can write to it, or exchange
    a folder or link on the way to it: on the path as given, and on the one it resolves to.
    """
    for part in (*reversed(folder.parents), folder):
        if not os.path.lexists(part):
            with suppress(FileExistsError):  # made by another process
                part.mkdir(PRIVATE)
        if part in (folder, folder.parent):  # the two that are ours
            take_back(part, {folder.name} if part == folder.parent else None)
        check_owner_and_mode(part)
    resolved = folder.resolve(strict=True)
    take_back(resolved)
    for part in (resolved, *resolved.parents):
        check_owner_and_mode(part)
    if hasattr(os, "geteuid") and resolved.stat().st_uid != os.geteuid():
        raise PermissionError(f"{resolved} belongs to another user")
    return resolved


def take_back(folder: Path, content: set[str] | None = None) -> None:
    """Make a folder of the user writable by the user alone: it may be older than a change of the umask.

    What others have put there meanwhile belongs to them, and is not read. A folder that holds more than
    the `content` that is named is somebody's for another purpose, and stays as it is.
    """
    if content is not None and not content.issuperset(os.listdir(folder)):
        return
    found = folder.lstat()
    is_own = hasattr(os, "geteuid") and stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if is_own and is_writable_by_others(found):
        folder.chmod(PRIVATE)


def check_owner_and_mode(path: Path) -> None:
    """Raise PermissionError if another user can replace this folder or link, or what is in it.

    On Windows nothing is checked: there the local application data are the user's own.
    """
    if not hasattr(os, "geteuid"):
        return
    found = path.lstat()
    if found.st_uid not in (0, os.geteuid()):
        raise PermissionError(f"{path} belongs to another user")
    is_folder, is_sticky = stat.S_ISDIR(found.st_mode), found.st_mode & stat.S_ISVTX
    if is_folder and not is_sticky and is_writable_by_others(found):  # sticky: such as /tmp
        raise PermissionError(f"{path} can be written to by other users")


def is_writable_by_others(found: os.stat_result) -> bool:
    """Whether the group or everybody may write."""
    return bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed have left behind."""
    for path in folder.glob(f"*{UNFINISHED}"):
        with suppress(OSError):
            if path.lstat().st_mtime < time.time() - ABANDONED:
                path.unlink()

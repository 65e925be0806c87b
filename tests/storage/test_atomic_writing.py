"""A file is replaced as a whole and is on the disk then, or nothing has changed."""

from __future__ import annotations

import errno
import io
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from portable_nn.storage import read_document, write_document
from portable_nn.storage.atomic import replacing

pytestmark = pytest.mark.usefixtures("host_only")
OLD, NEW = {"x": "old"}, {"x": "new", "W": np.ones((300, 300))}


@pytest.fixture
def path(tmp_path):
    write_document(tmp_path / "model", "test", OLD)
    return tmp_path / "model"


def check_unchanged(path):
    assert read_document(path).values == OLD
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("where", ["write", "fsync", "replace", "chmod"])
def test_the_old_file_is_intact_where_something_fails(path, monkeypatch, where):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    if where == "write":

        class FullDisk(io.FileIO):
            def write(self, content):
                return fail() if self.tell() > 1 << 18 else super().write(content[: 1 << 16])

        monkeypatch.setattr(io, "FileIO", FullDisk)
    else:
        monkeypatch.setattr(os, where, fail)
    if where == "chmod":  # permissions that cannot be kept do not stop it
        write_document(path, "test", NEW)
        return
    with pytest.raises(OSError, match=r"No space left.*unchanged") as caught:
        write_document(path, "test", NEW)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    check_unchanged(path)


def test_an_interrupt_while_writing_leaves_the_old_file(path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_document(path, "test", NEW)
    check_unchanged(path)


def test_writing_goes_on_where_the_system_takes_a_part_at_a_time(path, monkeypatch):
    class Slow(io.FileIO):
        def write(self, content):
            return super().write(content[:1000])

        def readinto(self, content):
            return super().readinto(content[:1000])

        def read(self, n=-1):
            return super().read(min(n, 100))

    monkeypatch.setattr(io, "FileIO", Slow)
    write_document(path, "test", NEW)
    assert np.array_equal(read_document(path).values["W"], NEW["W"])


def test_the_file_and_its_folder_are_synchronized_before_it_returns(path, monkeypatch):
    seen = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda n: (seen.append(stat.S_ISDIR(os.fstat(n).st_mode)), fsync(n))
    )
    monkeypatch.setattr(os, "replace", lambda *a: (seen.append("replace"), replace(*a)))
    write_document(path, "test", NEW)
    assert seen == [False, "replace", *([] if os.name == "nt" else [True])]


def test_a_folder_that_cannot_be_synchronized_is_no_error(path, monkeypatch):
    fsync = os.fsync

    def refuse(n):
        if stat.S_ISDIR(os.fstat(n).st_mode):
            raise OSError(errno.EINVAL, "not here")
        fsync(n)

    monkeypatch.setattr(os, "fsync", refuse)
    write_document(path, "test", NEW)
    assert read_document(path).values["x"] == "new"


def test_what_is_no_file_is_not_replaced(tmp_path):
    with pytest.raises(IsADirectoryError, match="folder; accepted"):
        write_document(tmp_path, "test", NEW)
    with pytest.raises(OSError, match="cannot write the file"):
        write_document(tmp_path / "no folder" / "f", "test", NEW)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write the file"):  # also for root
        write_document(tmp_path / "file" / "f", "test", NEW)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="pipe; accepted"):
            write_document(tmp_path / "pipe", "test", NEW)
        with pytest.raises(OSError, match="device"):
            write_document("/dev/null", "test", NEW)
    assert {p.name for p in tmp_path.iterdir()} <= {"file", "pipe"}


@pytest.mark.skipif(os.name == "nt", reason="no such permissions on Windows")
def test_permissions_are_those_of_the_old_file_or_of_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_document(tmp_path / "f", "test", OLD)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "f").st_mode) == 0o640
    os.chmod(tmp_path / "f", 0o604)
    write_document(tmp_path / "f", "test", NEW)
    assert stat.S_IMODE(os.stat(tmp_path / "f").st_mode) == 0o604


def test_a_link_is_followed(tmp_path, path):
    (tmp_path / "folder").mkdir()
    link = tmp_path / "folder" / "link"
    link.symlink_to(path)
    write_document(link, "test", NEW)
    assert link.is_symlink()
    assert read_document(path).values["x"] == "new"
    assert sorted(os.listdir(tmp_path)) == ["folder", "model"]


def test_a_file_of_the_largest_name_is_written(tmp_path):
    path = tmp_path / ("é" * 127)
    write_document(path, "test", OLD)
    assert read_document(path).values == OLD


def test_checksums_are_right_where_no_thread_can_be_started(path, monkeypatch):
    import threading

    def fail(_):
        raise RuntimeError("can't start new thread")

    values = {"W": np.ones((500, 500))}
    write_document(path, "test", values)
    threaded = path.read_bytes()
    monkeypatch.setattr(threading.Thread, "start", fail)
    write_document(path, "test", values)
    assert path.read_bytes() == threaded
    assert np.array_equal(read_document(path).values["W"], values["W"])


def test_the_errors_have_the_kinds_of_the_system(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        write_document(tmp_path / "file" / "f", "test", NEW)
    with pytest.raises(FileNotFoundError, match="make it first"):
        write_document(tmp_path / "no folder" / "f", "test", NEW)


@pytest.mark.skipif(os.name == "nt", reason="no such locks on Windows")
def test_what_a_killed_process_has_left_is_used_again(path):
    program = """if True:
        import os, signal, sys
        from portable_nn.storage import write_document
        os.fsync = lambda number: os.kill(os.getpid(), signal.SIGKILL)
        write_document(sys.argv[1], "test", {"x": "killed"})
    """
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", program, path], check=False)
        assert done.returncode < 0
        assert read_document(path).values == OLD
        assert len(os.listdir(path.parent)) == 2
    write_document(path, "test", NEW)
    assert read_document(path).values["x"] == "new"
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(os.name == "nt", reason="no such locks on Windows")
def test_a_file_that_another_is_writing_is_left_alone(path):
    with replacing(str(path)) as first:
        first.write(b"first")
        with replacing(str(path)) as second:
            second.write(b"second")
        assert path.read_bytes() == b"second"
    assert path.read_bytes() == b"first"
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(os.name == "nt", reason="no such links on Windows")
def test_a_link_in_the_place_of_the_unfinished_file_is_not_followed(path):
    with replacing(str(path)) as file:
        part = path.parent / Path(file.name).name
        file.write(b"x")
    other = path.parent / "other"
    other.write_text("precious")
    for link in (part.symlink_to, part.hardlink_to):
        link(other)
        write_document(path, "test", NEW)
        assert other.read_text() == "precious"
        part.unlink()
    os.mkfifo(part)
    write_document(path, "test", NEW)
    assert read_document(path).values["x"] == "new"

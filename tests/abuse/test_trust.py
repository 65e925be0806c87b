"""The cache of compiled loops believes only whole files, in folders that the user alone can change."""

from __future__ import annotations

import functools
import os
import pickle
import stat
import threading
import time

import numpy as np
import pytest

import portable_nn as pnn
from portable_nn.compiler.numpy import cache_folder, loop_cache, program, steps, verified_files
from portable_nn.training.steps import training_steps

pytestmark = pytest.mark.usefixtures("host_only")
needs_numba = pytest.mark.skipif(not loop_cache.installed(), reason="no numba here")
needs_owners = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners here")
LOOP = "def loop(p0):\n    for i in range(p0.shape[0]):\n        p0[i] = p0[i] + float64(1)\n"
KEY = b"what is asked for"


@pytest.fixture
def find_folder(monkeypatch, tmp_path):
    """``find_folder(cache)``: the folder of loops, if the user's cache is this one."""

    def find(cache):
        for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
            monkeypatch.setenv(variable, str(cache))
        return cache_folder.folder_of.__wrapped__(0)

    return find


@pytest.fixture
def folder(find_folder, tmp_path, monkeypatch):
    """A folder of loops that is used in this test."""
    found = find_folder(tmp_path)
    monkeypatch.setattr(loop_cache, "cache_folder", lambda: found)
    return found


def run_loop(dtype="float64"):
    """Compile or load the loop, as a process does that has not done so yet, and run it."""
    x = np.zeros(3, dtype)
    loop = loop_cache.Loop(LOOP)
    loop.compile_for(x)
    loop.call(x)
    np.testing.assert_array_equal(x, np.ones(3))


# ---- folders ------------------------------------------------------------------------------------


@needs_owners
@pytest.mark.parametrize("umask", [0o022, 0, 0o777])
def test_new_folders_are_the_users_alone_whatever_the_umask(find_folder, tmp_path, umask):
    before = os.umask(umask)
    try:
        found = find_folder(tmp_path / "new" / "cache")
    finally:
        os.umask(before)
    if umask == 0o777 and os.geteuid() != 0:
        assert found is None  # nobody can write there
        return
    while found != tmp_path:
        assert found.stat().st_mode & 0o077 == 0, found
        found = found.parent


@needs_owners
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o722])
def test_a_cache_to_which_others_can_write_is_not_used(find_folder, tmp_path, mode):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(mode)
    assert find_folder(tmp_path / "shared") is None
    assert find_folder(tmp_path / "shared" / "deeper") is None
    assert not (tmp_path / "shared" / "deeper").exists()


@needs_owners
def test_a_sticky_folder_on_the_way_is_no_danger(find_folder, tmp_path):
    (tmp_path / "like tmp").mkdir()
    (tmp_path / "like tmp").chmod(0o1777)
    assert find_folder(tmp_path / "like tmp" / "mine") is not None


@needs_owners
def test_a_cache_of_another_user_is_not_used(find_folder, tmp_path, monkeypatch):
    assert find_folder(tmp_path) is not None
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    assert find_folder(tmp_path) is None


@needs_owners
@pytest.mark.parametrize("what", ["cache", "portable_nn", "loops"])
def test_a_folder_or_link_of_another_user_on_the_way_is_not_followed(find_folder, tmp_path, what):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    way = {"cache": "cache", "portable_nn": "cache/portable_nn", "loops": "cache/portable_nn/loops"}
    (tmp_path / "cache" / "portable_nn" / "loops").mkdir(parents=True)
    theirs = tmp_path / way[what]
    os.chown(theirs, 12345, 12345)
    assert find_folder(tmp_path / "cache") is None
    os.chown(theirs, 0, 0)
    assert find_folder(tmp_path / "cache") is not None
    theirs.rename(tmp_path / "moved")
    theirs.symlink_to(tmp_path / "moved")
    assert find_folder(tmp_path / "cache") is not None  # the user's own link
    os.lchown(theirs, 12345, 12345)
    assert find_folder(tmp_path / "cache") is None


@needs_owners
def test_a_link_into_a_folder_to_which_others_can_write_is_not_followed(find_folder, tmp_path):
    (tmp_path / "shared" / "inner").mkdir(parents=True)
    (tmp_path / "shared").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "shared" / "inner")
    assert find_folder(tmp_path / "link") is None


@needs_owners
def test_folders_made_under_a_careless_umask_are_taken_back(find_folder, tmp_path):
    (tmp_path / "portable_nn" / "loops").mkdir(parents=True)
    for folder in (tmp_path / "portable_nn", tmp_path / "portable_nn" / "loops"):
        folder.chmod(0o777)
    found = find_folder(tmp_path)
    assert stat.S_IMODE(found.stat().st_mode) == stat.S_IMODE(found.parent.stat().st_mode) == 0o700


def test_a_relative_cache_is_ignored(find_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    found = find_folder("relative")
    assert found == tmp_path.resolve() / "home" / ".cache" / "portable_nn" / "loops"
    assert not (tmp_path / "relative").exists()


def test_what_a_killed_process_was_writing_is_removed_after_an_hour(find_folder, tmp_path):
    folder = find_folder(tmp_path)
    old, new = folder / f"old{cache_folder.UNFINISHED}", folder / f"new{cache_folder.UNFINISHED}"
    for path in (old, new):
        path.write_text("")
    os.utime(old, (time.time() - 7200,) * 2)
    find_folder(tmp_path)
    assert new.exists()
    assert not old.exists()


# ---- files --------------------------------------------------------------------------------------


def test_a_file_is_read_as_it_was_written_and_under_its_own_key_alone(tmp_path):
    path = tmp_path / "a"
    for content in (b"", b"\0" * 1000, os.urandom(5000)):
        verified_files.write_verified(path, KEY, content)
        assert verified_files.read_verified(path, KEY) == content
    assert verified_files.read_verified(path, KEY + b"?") is None
    assert not path.exists()
    assert verified_files.read_verified(path, KEY) is None


def test_no_change_of_a_file_goes_unnoticed(tmp_path, random):
    path = tmp_path / "a"
    verified_files.write_verified(path, KEY, b"some content that matters")
    good = path.read_bytes()
    for at in range(len(good)):
        for bad in (good[:at], good[:at] + bytes([good[at] ^ (1 << at % 8)]) + good[at + 1 :]):
            path.write_bytes(bad)
            path.chmod(0o600)
            assert verified_files.read_verified(path, KEY) is None
            assert not path.exists()


@needs_owners
def test_a_file_of_another_user_is_not_read(tmp_path, monkeypatch):
    path, uid = tmp_path / "a", os.geteuid()
    verified_files.write_verified(path, KEY, b"content")
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    assert verified_files.read_verified(path, KEY) is None


def test_processes_of_one_id_do_not_disturb_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 7)  # as in containers that share a home
    path, failed = tmp_path / "a", []
    begin = threading.Barrier(8)

    def write():
        begin.wait()
        for _ in range(20):
            verified_files.write_verified(path, KEY, b"content" * 1000)
            if verified_files.read_verified(path, KEY) != b"content" * 1000:
                failed.append(path)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("fails", ["write", "replace", "folder"])
def test_what_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch, fails):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    folder = tmp_path / "folder"
    if fails != "folder":
        folder.mkdir()
        where = (os, "replace") if fails == "replace" else (verified_files, "open")
        monkeypatch.setattr(*where, full, raising=False)
    verified_files.write_verified(folder / "a", KEY, b"content")
    monkeypatch.undo()
    assert not folder.exists() or not list(folder.iterdir())


# ---- loops and trainings ------------------------------------------------------------------------


planted_code_ran = threading.Event()


def planted_code():
    planted_code_ran.set()


class Planted:
    """Whoever unpickles this runs the planted code."""

    def __reduce__(self):
        return planted_code, ()


@needs_numba
def test_nothing_planted_is_run(folder):
    run_loop()
    (path,) = folder.glob("*.loop")
    planted, name = pickle.dumps(Planted()), loop_cache.module_name(LOOP)
    places = [path, folder / f"{name}.py", folder / "__pycache__" / f"{name}.cpython-311.pyc"]
    places += [folder / "__pycache__" / f"{name}.loop-1.py311.{end}" for end in ("nbi", "1.nbc")]
    (folder / "__pycache__").mkdir()
    for place in places:
        place.write_bytes(planted)
    run_loop()
    assert not planted_code_ran.is_set()
    assert path.read_bytes() != planted  # repaired


@needs_numba
def test_a_loop_is_compiled_once_and_then_loaded(folder, monkeypatch):
    run_loop()
    run_loop("float32")  # other types, another file
    assert len(list(folder.iterdir())) == 2
    found, read = [], verified_files.read_verified
    monkeypatch.setattr(loop_cache, "read_verified", lambda *at: found.append(read(*at)) or found[-1])
    monkeypatch.setattr(loop_cache, "write_verified", None)
    run_loop()
    run_loop("float32")
    assert None not in found
    assert len(found) == 2


@needs_numba
def test_code_of_another_processor_or_version_is_not_loaded(folder, monkeypatch):
    import numba

    run_loop()
    monkeypatch.setattr(numba, "__version__", "0.0")
    run_loop()
    assert len(list(folder.iterdir())) == 2


@needs_numba
def test_a_file_that_numba_cannot_use_is_replaced(folder):
    run_loop()
    (path,) = folder.glob("*.loop")
    keys, where = [], loop_cache.CompiledCode.where
    loop = loop_cache.Loop(LOOP)
    loop.call._cache.where = lambda *given: keys.append(where(loop.call._cache, *given)) or keys[-1]
    loop.compile_for(np.zeros(3))
    whole = path.stat().st_size
    verified_files.write_verified(*keys[0], pickle.dumps(("of", "another", "form")))
    run_loop()
    assert path.stat().st_size == whole


def no_folder(*_, **__):
    raise OSError(30, "Read-only file system")


@needs_numba
@pytest.mark.parametrize("hindrance", ["no home", "read-only", "folder gone", "full", "broken"])
def test_a_training_goes_on_without_a_cache(hindrance, tmp_path, monkeypatch, find_folder):
    looks_only = hindrance in ("no home", "read-only")  # for cached loops; the others compile
    monkeypatch.setattr(program, "PATIENCE", (0.0, 1e9 if looks_only else 0.0))
    monkeypatch.setattr(steps, "FEW_STEPS", 0)
    monkeypatch.setattr(program, "warned", [])
    monkeypatch.setattr(loop_cache, "_load_loop", functools.cache(loop_cache.Loop))
    monkeypatch.setattr(program, "is_cached", loop_cache.is_cached.__wrapped__)
    wrapped = functools.cache(lambda: cache_folder.folder_of.__wrapped__(0))
    monkeypatch.setattr(loop_cache, "cache_folder", wrapped)
    if hindrance == "no home":
        for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME", "USERPROFILE"):
            monkeypatch.delenv(variable, raising=False)
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it does without a user
    elif hindrance == "read-only":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "new"))
        monkeypatch.setattr(cache_folder.Path, "mkdir", no_folder)
    elif hindrance == "folder gone":
        find_folder(tmp_path)
        wrapped().rmdir()
    elif hindrance == "full":
        monkeypatch.setattr(os, "replace", no_folder)
    else:
        monkeypatch.setattr(loop_cache.CompiledCode, "where", no_folder)
    net = pnn.Network((5, 4, 2), ("relu", "identity"), "squared_error")
    X = np.random.default_rng(0).normal(size=(64, 5))
    training_steps.cache_clear()
    _, history = pnn.fit(net, net.initialize(dtype="float64"), X, X[:, :2], epochs=3, batch_size=8)
    training_steps.cache_clear()
    assert history.cost[-1] < history.cost[0]
    assert not program.warned


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no users here")
def test_a_folder_that_holds_other_things_stays_as_it_is(tmp_path):
    shared = tmp_path / "portable_nn"
    shared.mkdir()
    (shared / "notes").write_text("of a team")
    shared.chmod(0o2775)
    with pytest.raises(PermissionError, match="can be written to by other users"):
        cache_folder.private_folder(shared / "loops")
    assert shared.stat().st_mode & 0o7777 == 0o2775


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no users here")
def test_each_user_that_a_process_acts_for_has_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder.cache_folder() is not None
    someone = os.geteuid() + 12345
    monkeypatch.setattr(os, "geteuid", lambda: someone)
    assert cache_folder.cache_folder() is None  # the folder belongs to another user

"""Files damaged, forged, cut short by a full disk, and written by two at once: a few of each, or many.

The environment variable PORTABLE_NN_ABUSE asks for many; ``nox -s abuse`` sets it.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import subprocess
import sys
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from damaged_files import (
    Edits,
    bits_flipped,
    bits_of_the_header_flipped,
    cut_out,
    in_place_of,
    inserted,
    of_another_length,
    spliced,
    truncated,
    zeroed,
)

import portable_nn as pnn
from portable_nn.files.command import main
from portable_nn.storage import read_document

pytestmark = pytest.mark.usefixtures("host_only")
HERE = Path(__file__).parent
MANY = bool(os.environ.get("PORTABLE_NN_ABUSE"))
NET = pnn.Network((4, 5, 3), (pnn.leaky_relu(0.2), "softmax"), "categorical_cross_entropy")
SMALL = 30e6  # bytes of memory that reading may take whatever the size of the file
SECONDS = 10.0


def models(folder):
    """The contents of a few files."""
    things = {
        "network": (NET, NET.initialize()),
        "stack": (NET, NET.initialize(seed=[1, 2], stack=(2,), dtype="float64")),
        "large": (wide := pnn.Network((300, 300), ["tanh"], "huber"), wide.initialize()),
    }
    with contextlib.suppress(ImportError):
        from portable_nn import MLPClassifier, MLPRegressor

        chance = np.random.default_rng(0)
        X, y = chance.normal(size=(30, 4)), np.array(["a", "b", "c"])[chance.integers(0, 3, 30)]
        options = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": np.random.RandomState(0)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            things["classifier"] = MLPClassifier(**options, early_stopping=True).fit(X, y)
            things["regressor"] = MLPRegressor(solver="sgd", schedule=pnn.schedules.cosine(0.1, 9)).fit(
                X, X[:, :2]
            )
    for name, thing in things.items():
        pnn.save(folder / name, thing)
    return [(folder / name).read_bytes() for name in things]


def canonical(value):
    """A value that is equal to another's if these are the same to the bit."""
    if isinstance(value, np.ndarray):
        content = value.tolist() if value.dtype == object else value.tobytes()
        return value.dtype.str, value.shape, repr(content)
    if isinstance(value, dict):
        return [(repr(key), canonical(part)) for key, part in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [canonical(part) for part in value]
    return repr(value)


def contents(path):
    """All that a file says; it makes a model too."""
    document = read_document(path)
    pnn.load(path)
    return document.kind, canonical(document.values)


def outcome(path, expected):
    """What becomes of a damaged file; another exception fails the test."""
    try:
        found = contents(path)
    except ValueError as error:
        text = str(error)
        if isinstance(error, pnn.ModelFormatError):
            return "refused" if text.startswith(f"{path}: ") else text
        return "asks for a function" if "custom={" in text else text
    return "the same model" if found == expected else "another model"


@pytest.mark.filterwarnings("ignore")
def test_a_damaged_file_is_refused_or_the_very_same_model(tmp_path, count):
    whole, times = models(tmp_path), 10_000 if MANY else 300
    path, expected = tmp_path / "model", []
    for content in whole:
        path.write_bytes(content)
        expected.append(contents(path))
    edits = [Edits(tmp_path, part, forged) for part in ("header", "values") for forged in (False, True)]
    kinds = [
        *(bits_flipped, bits_of_the_header_flipped, truncated, cut_out, spliced, inserted, zeroed),
        *(of_another_length, in_place_of(whole[0]), in_place_of(whole[-1]), *edits),
    ]
    for turn in range(times):
        chance, which = random.Random(turn), turn // len(kinds) % len(whole)
        kind = kinds[turn % len(kinds)]
        content = kind(whole[which], chance)
        path.write_bytes(content)
        tracemalloc.start()
        started = time.perf_counter()
        found = outcome(path, expected[which])
        seconds, peak = time.perf_counter() - started, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        is_forged = isinstance(kind, Edits) and kind.forged
        is_whole = content in whole  # of another model, where headers were swapped
        allowed = {"refused", "the same model"} | ({"another model"} if is_forged or is_whole else set())
        allowed |= {"asks for a function"} if is_forged else set()
        assert found in allowed, (turn, kind.__name__, found)
        assert peak < 2 * len(content) + SMALL, (turn, kind.__name__, peak)
        assert seconds < SECONDS, (turn, kind.__name__)
        count("abuse: damaged files", f"{kind.__name__}: {found}")
        look_at(path, turn)


def look_at(path, turn):
    """Map the file, and show it: these say what is wrong too, or give something."""
    with contextlib.suppress(pnn.ModelFormatError), contextlib.suppress(ValueError):
        pnn.load(path, mmap=True)
    nowhere = io.StringIO()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        assert main(["show", str(path)]) in (0, 1), turn


# ---- writing ------------------------------------------------------------------------------------------

LARGE = pnn.Network((400, 400), ["tanh"], "huber")  # 0.6 MB


def old_model(folder):
    """A file that is there already, and its content."""
    path = folder / "model"
    pnn.save(path, (NET, NET.initialize()))
    return path, path.read_bytes()


def check_unchanged(path, content):
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == [path.name]
    pnn.load(path)


def run(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_file_that_may_not_grow_leaves_the_old_one(tmp_path, count):
    pytest.importorskip("resource", reason="no limits on this system")
    path, content = old_model(tmp_path)
    program = """if True:
        import resource, signal, sys
        import portable_nn as pnn
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        net = pnn.Network((400, 400), ["tanh"], "huber")
        params = net.initialize()
        for limit in (0, 7, 5000, 100_000, 600_000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                pnn.save(sys.argv[1], (net, params))
            except OSError as error:
                assert "unchanged" in str(error), error
                print("refused")
    """
    done = run(program, path)
    assert done.stdout.split() == ["refused"] * 5, done.stderr
    check_unchanged(path, content)
    for _ in range(5):
        count("abuse: writing", "file too large: old one intact")


def test_a_full_disk_leaves_the_old_file(tmp_path, count):
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only the administrator may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this container may not mount a small disk")
    try:
        path, content = old_model(disk)
        for _ in range(100 if MANY else 5):
            with pytest.raises(OSError, match="No space left on device; what was there"):
                pnn.save(path, (LARGE, LARGE.initialize()))
            check_unchanged(path, content)
            count("abuse: writing", "disk full: old one intact")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_folder_in_which_nobody_may_write_leaves_the_old_file(tmp_path, count):
    path, content = old_model(tmp_path)
    thing = NET, NET.initialize()
    for where in (path / "below", tmp_path / "no folder" / "f", Path("/proc/nowhere")):
        with pytest.raises(OSError, match="cannot write the file") as caught:
            pnn.save(where, thing)
        assert str(where) in str(caught.value)
        count("abuse: writing", "no such folder: refused")
    with pytest.raises(IsADirectoryError, match="folder; accepted"):
        pnn.save(tmp_path, thing)
    check_unchanged(path, content)
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        tmp_path.chmod(0o500)
        try:
            with pytest.raises(PermissionError, match="cannot write the file"):
                pnn.save(path, thing)
        finally:
            tmp_path.chmod(0o700)
        check_unchanged(path, content)


def test_of_two_writers_at_once_the_file_is_always_wholly_of_one(tmp_path, count):
    path, times = tmp_path / "model", 300 if MANY else 10
    program = """if True:
        import sys
        import portable_nn as pnn
        net = pnn.Network((100, 100), ["tanh"], "huber")
        params = net.initialize(seed=int(sys.argv[2]))
        for _ in range(int(sys.argv[3])):
            pnn.save(sys.argv[1], (net, params))
    """
    net = pnn.Network((100, 100), ["tanh"], "huber")
    expected = [net.initialize(seed=seed)[0][0] for seed in (1, 2)]
    pnn.save(path, (net, net.initialize(seed=1)))
    writers = [
        subprocess.Popen([sys.executable, "-c", program, path, str(seed), str(times)]) for seed in (1, 2)
    ]
    reads = [0, 0]
    while any(writer.poll() is None for writer in writers):
        W = pnn.load(path)[1][0][0]
        (which,) = [k for k in (0, 1) if np.array_equal(W, expected[k])]
        reads[which] += 1
    assert [writer.wait() for writer in writers] == [0, 0]
    assert os.listdir(tmp_path) == ["model"]
    for which, n in enumerate(reads):
        for _ in range(n):
            count("abuse: two writers", f"read whole, of writer {which + 1}")


@pytest.mark.skipif(os.name == "nt", reason="processes are not killed like this on Windows")
def test_a_process_killed_while_it_saves_leaves_a_whole_file(tmp_path, count):
    path = tmp_path / "model"
    program = """if True:
        import sys
        import portable_nn as pnn
        net = pnn.Network((100, 100), ["tanh"], "huber")
        params = [net.initialize(seed=seed) for seed in (1, 2)]
        print("ready", flush=True)
        while True:
            for each in params:
                pnn.save(sys.argv[1], (net, each))
    """
    net = pnn.Network((100, 100), ["tanh"], "huber")
    expected = [net.initialize(seed=seed)[0][0] for seed in (1, 2)]
    chance = random.Random(0)
    for _ in range(100 if MANY else 2):
        command = [sys.executable, "-c", program, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline()
            time.sleep(chance.uniform(0.0, 0.1))
            writer.kill()
        if path.exists():  # else it was killed before the first was done
            W = pnn.load(path)[1][0][0]
            assert any(np.array_equal(W, each) for each in expected)
        assert len(os.listdir(tmp_path)) <= 2
        count("abuse: killed while saving", "the file is whole")
    pnn.save(path, (net, net.initialize(seed=1)))
    assert os.listdir(tmp_path) == ["model"]

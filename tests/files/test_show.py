"""``python -m portable_nn show FILE`` says what is in a file, and never ends in a traceback."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from storage_files import put_together, take_apart, with_right_checksums, with_values

import portable_nn as pnn
from portable_nn.files.command import main

pytestmark = pytest.mark.usefixtures("host_only")
NET = pnn.Network((4, 5, 3), (pnn.leaky_relu(0.2), "softmax"), "categorical_cross_entropy")


@pytest.fixture
def shown(capsys):
    """``shown(path)``: what is printed, as names and texts."""

    def show(path):
        assert main(["show", str(path)]) == 0
        lines = capsys.readouterr().out.splitlines()
        return dict((part.strip() for part in line.split("  ", 1)) for line in map(str.strip, lines))

    return show


def test_a_network_is_shown(tmp_path, shown):
    pnn.save(tmp_path / "f", (NET, NET.initialize()))
    assert shown(tmp_path / "f") == {
        "kind": "network",
        "sizes": "4 -> 5 -> 3",
        "activations": "leaky_relu(slope=0.2, at_zero=1.0), softmax",
        "loss": "categorical_cross_entropy",
        "parameters": "43",
        "dtype": "float32",
        "size": f"{(tmp_path / 'f').stat().st_size:,} bytes",
        "written by": f"portable_nn {pnn.__version__}, format 1",
    }


def test_a_stack_and_user_defined_functions_are_shown_without_them(tmp_path, shown):
    own = pnn.Activation("own", lambda xp, Z: Z * 1.0, lambda xp, Z: xp.ones_like(Z))
    net = pnn.Network((2, 1), [own], pnn.huber(2.0))
    params = net.initialize(seed=[0, 1, 2], stack=(3,), dtype="float64")
    pnn.save(tmp_path / "f", (net, params), custom={"mine": own})
    found = shown(tmp_path / "f")
    assert found["activations"] == "mine"
    assert found["loss"] == "huber(delta=2.0)"
    assert found["parameters"] == "3 for each network of a stack (3,)"
    assert found["dtype"] == "float64"


def test_a_checkpoint_is_shown_and_not_loaded_as_a_model(tmp_path, shown):
    X, checkpoint = np.ones((20, 4), "float32"), pnn.Checkpoint(tmp_path / "f")
    how = {"epochs": 3, "batch_size": 8, "callbacks": [checkpoint]}
    pnn.fit(NET, NET.initialize(), X, np.arange(20) % 3, **how)
    found = shown(tmp_path / "f")
    assert found["kind"] == "checkpoint of fit"
    assert found["reached"] == "3 epochs and 0 batches of the next, 9 updates"
    with pytest.raises(pnn.ModelFormatError, match=r"a checkpoint is for fit\(resume="):
        pnn.load(tmp_path / "f")


def test_an_estimator_is_shown(tmp_path, shown):
    pytest.importorskip("sklearn")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.eye(4), columns=["length", "b", "c", "d\x1b[31m"])
    schedule = pnn.schedules.cosine(0.1, 9)
    clf = pnn.MLPClassifier((5,), max_iter=400, schedule=schedule, random_state=0, alpha=0.0001)
    clf.fit(frame, ["yes", "no", "yes", "no"])
    pnn.save(tmp_path / "f", clf)
    found = shown(tmp_path / "f")
    assert found["kind"] == "MLPClassifier"
    assert found["classes"] == "'no', 'yes'"
    assert found["features"] == "'length', 'b', 'c', 'd\\x1b[31m'"
    assert found["hidden_layer_sizes"] == "(5,)"
    assert found["max_iter"] == "400"
    assert found["schedule"] == "cosine(learning_rate=0.1, steps=9, final=0.0)"
    assert "alpha" not in found
    assert found["n_iter_"] == str(clf.n_iter_)
    assert "optimizer" in found


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_many_labels_are_cut_short(tmp_path, shown):
    pytest.importorskip("sklearn")
    clf = pnn.MLPClassifier((2,), solver="lbfgs", max_iter=50).fit(np.eye(20), range(20))
    pnn.save(tmp_path / "f", clf)
    assert shown(tmp_path / "f")["classes"].endswith(", ... (20)")


def test_a_damaged_file_is_a_message_and_the_exit_status_1(tmp_path, capsys):
    pnn.save(tmp_path / "f", (NET, NET.initialize()))
    content = (tmp_path / "f").read_bytes()
    (tmp_path / "f").write_bytes(content[:-4])
    for name, match in (("f", "truncated"), ("nowhere", "No such file"), (".", "folder")):
        assert main(["show", str(tmp_path / name)]) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert match in err
        assert str(tmp_path / name) in err
        assert len(err.splitlines()) == 1


def test_the_command_ends_without_a_traceback(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * 99)
    command = [sys.executable, "-m", "portable_nn", "show", str(tmp_path / "f")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path / 'f'}: it is no safetensors file")
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    pnn.save(tmp_path / "f", (NET, NET.initialize()))
    command = [sys.executable, "-m", "portable_nn", "show", str(tmp_path / "f")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda v: {},
        lambda v: v | {"network": {"$network": {}}},
        lambda v: v | {"network": {"$network": {"sizes": [1, "x"], "activations": 3, "loss": [[]]}}},
        lambda v: v | {"classes": 3, "attributes": [], "hyperparameters": {}, "changed": ["x", 3, {}]},
        lambda v: v | {"attributes": {"feature_names_in_": 3, "n_iter_": {"$tuple": []}}},
        lambda v: v | {"network": {"$network": {"sizes": [10**3000, 10**3000], "loss": 1}}},
    ],
    ids=[str(n) for n in range(6)],
)
def test_values_of_any_form_are_shown(tmp_path, change, capsys):
    pnn.save(tmp_path / "f", (NET, NET.initialize()))
    with_values(tmp_path / "f", lambda v: change(v) | {"params": v["params"]})
    assert main(["show", str(tmp_path / "f")]) == 0
    assert "kind" in capsys.readouterr().out


def test_a_forged_name_cannot_command_the_terminal(tmp_path, capsys):
    pnn.save(tmp_path / "f", (NET, NET.initialize()))
    header, data = take_apart(tmp_path / "f")
    header["__metadata__"].update(kind="network\x1b[2J\n", portable_nn_version="\r9")
    put_together(tmp_path / "f", with_right_checksums(header, data), data)
    assert main(["show", str(tmp_path / "f")]) == 0
    out = capsys.readouterr().out
    assert "network\\x1b[2J\\n" in out
    assert out.replace("\n", "").isprintable()


def test_the_help_says_what_it_does_with_and_without_a_file(capsys):
    for argument in ("-h", "--help"):
        assert main([argument]) == 0
        out, err = capsys.readouterr()
        assert not err
        for what in ("Without arguments: which backends", "show FILE   what is in a file"):
            assert what in out


def test_other_arguments_give_the_usage(capsys):
    for arguments, status in ((["show"], 2), (["x"], 2), (["--help"], 0), (["show", "a", "b"], 2)):
        assert main(arguments) == status
        assert "usage: python -m portable_nn [show FILE]" in "".join(capsys.readouterr())

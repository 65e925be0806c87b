"""What is written is what is read: plain values, arrays, our objects, names of user-defined ones."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storage_files import take_apart, with_values

import portable_nn as pnn
from portable_nn import schedules
from portable_nn.equations import ACTIVATIONS, LOSSES
from portable_nn.equations.scikit_losses import BINARY_LOG_LOSS, LOG_LOSS, SQUARED_ERROR
from portable_nn.storage import read_document, write_document

pytestmark = pytest.mark.usefixtures("host_only")


@pytest.fixture
def again(tmp_path):
    """``again(value)``: the value, written and read."""

    def write_and_read(value, **options):
        write_document(tmp_path / "file", "test", {"value": value}, **options)
        document = read_document(tmp_path / "file", **options)
        assert document.kind == "test"
        assert document.version == pnn.__version__
        return document.values["value"]

    return write_and_read


def alike(a, b):
    """Equal with types, the order of dicts, signs of zeros, NaN, and dtypes."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return (a.dtype, a.shape, a.tobytes() if a.dtype != object else a.tolist()) == (
            *(b.dtype, b.shape),
            b.tobytes() if b.dtype != object else b.tolist(),
        )
    if isinstance(a, dict):
        return alike(list(a.items()), list(b.items()))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(alike(*pair) for pair in zip(a, b, strict=True))
    return repr(a) == repr(b)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
KEYS = PLAIN | st.tuples(PLAIN, PLAIN) | st.sampled_from(["$tuple", "$x"])
ALL = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ALL)
def test_plain_values_come_back_with_their_types_and_order(again, value):
    assert alike(again(value), value)


VALUES = [
    *(math.nan, math.inf, -math.inf, -0.0, 1e22, 5e-324, 10**300, -1, True, None, "", "a\x00é😀\ud800"),
    *((), [], {}, {1: 2, "1": 3, None: (), (1, "a"): []}, {"$float": "nan"}, {"__metadata__": 1}),
]


@pytest.mark.parametrize("value", VALUES, ids=[str(n) for n in range(len(VALUES))])
def test_values_at_the_edges_come_back(again, value):
    assert alike(again(value), value)


NUMERIC = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8"]


@pytest.mark.parametrize("dtype", NUMERIC)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)], ids=str)
def test_arrays_come_back_bit_for_bit(again, random, dtype, shape):
    array = random.integers(0, 2, size=shape).astype(dtype)
    assert alike(again(array), array)
    if np.dtype(dtype).kind == "f" and array.size:
        array.flat[0], array.flat[-1] = -np.nan, -0.0
    assert again(array).tobytes() == array.tobytes()
    assert alike(again(array.astype(array.dtype.newbyteorder(">"))), array)


def test_numbers_of_numpy_become_those_of_python(again):
    found = again([np.float32(0.5), np.int8(3), np.bool_(True), np.str_("a"), np.float64(2)])
    assert alike(found, [0.5, 3, True, "a", 2.0])


LISTS = {
    "floats": [math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1, 3.0] * 143 + [0.5],
    "numpy": [np.float64(0.1)] * 1002,
    "ints": [0, -(2**63), 2**63 - 1] * 334,
    "long ints": [2**63] + [1] * 1001,
    "mixed": [1.0] * 1001 + [1],
    "booleans": [True] * 1002,
    "short": [0.1] * 1000,
}


@pytest.mark.parametrize("name", list(LISTS))
@pytest.mark.parametrize("mmap", [False, True], ids=["read", "mapped"])
def test_long_lists_of_numbers_come_back_as_lists_bit_for_bit(tmp_path, name, mmap):
    values = {"curves": [LISTS[name], LISTS[name]], "curves.0": np.zeros(2)}
    write_document(tmp_path / "f", "test", values)
    found = read_document(tmp_path / "f", mmap=mmap).values["curves"]
    plain = [value.item() if isinstance(value, np.generic) else value for value in LISTS[name]]
    assert alike(found, [plain, plain])
    in_arrays = len(take_apart(tmp_path / "f")[0]) > 2
    assert in_arrays == (name in ("floats", "numpy", "ints"))


def test_every_bit_of_a_nan_in_a_long_list_is_kept(again):
    (odd,) = np.array([0xFFF8_0000_0000_0123], "u8").view("f8").tolist()
    found = np.array(again([odd] * 1001)).view("u8")
    assert set(found.tolist()) == {0xFFF8_0000_0000_0123}


def test_a_history_of_a_million_epochs_is_written(again):
    values = [0.1 * n for n in range(1_000_000)]
    assert again(values) == values


@pytest.mark.parametrize("tag", ["floats", "ints"])
@pytest.mark.parametrize(
    "array", [np.zeros(3, "f4"), np.zeros((1, 3)), np.zeros((1, 3), "i8"), True], ids=str
)
def test_a_list_in_an_array_of_another_form_is_refused(tmp_path, tag, array):
    if array is True:  # that of the other tag
        array = np.zeros(3, "i8" if tag == "floats" else "f8")
    write_document(tmp_path / "f", "test", {"a": array})
    with_values(tmp_path / "f", lambda values: {"a": {f"${tag}": "a"}})
    with pytest.raises(pnn.ModelFormatError, match=f"its values have {tag} that are no array of"):
        read_document(tmp_path / "f")


def test_the_memory_layout_of_transposed_arrays_is_kept(again, random):
    for array in (random.normal(size=(3, 4)).T, random.normal(size=(2, 3, 4)).mT):
        found = again(array)
        assert found.strides == array.strides
        assert np.array_equal(found, array)
    strided = random.normal(size=(4, 6))[::2, ::3]
    assert np.array_equal(again(strided), strided)


LABELS = [
    np.array(["no", "yes, é😀"]),
    np.array(["a"], "<U30"),
    np.array([b"a\xff", b""]),
    np.array(["a", 1, None, 2.5, True], object),
    np.array([["x", "y"]], object),
    np.empty((0, 2), "U3"),
    np.array("x"),
]


@pytest.mark.parametrize("labels", LABELS, ids=[str(n) for n in range(len(LABELS))])
def test_labels_come_back_with_their_dtype(again, labels):
    assert alike(again(labels), labels)


OBJECTS = [
    *ACTIVATIONS.values(),
    *LOSSES.values(),
    *(pnn.relu(0.0), pnn.leaky_relu(0.2), pnn.leaky_relu(0.2, at_zero=0.5)),
    *(pnn.huber(2.0), pnn.pinball(0.9), BINARY_LOG_LOSS, LOG_LOSS, SQUARED_ERROR),
    pnn.Network((3, 4, 1), (pnn.leaky_relu(0.2), "identity"), pnn.huber(2.0)),
    pnn.Network((3, 2), ["softmax"], LOG_LOSS),
    *(pnn.SGD(0.1), pnn.SGD(0.1, momentum=0.9, nesterov=True), pnn.RMSprop(0.1, 0.5), pnn.Adam(0.1)),
    *(pnn.AdamW([0.1, 0.2], weight_decay=[[0.5], [0.25]]), pnn.Adam(schedules.cosine(0.1, 7, 0.01))),
    *(schedules.constant(0.1), schedules.step_decay([0.1, 0.2], 3), schedules.inverse_time(0.1, 2.0, 5)),
    *(schedules.one_cycle(0.1, 9, 0.5, 2.0, 3.0), schedules.coslog4([0.1, 0.2], 9)),
    schedules.warm_up_cosine(0.1, 9, 2, 0.01, 0.02),
]


@pytest.mark.parametrize("thing", OBJECTS, ids=[f"{n}" for n in range(len(OBJECTS))])
def test_our_objects_come_back_equal_with_their_constants(again, thing):
    found = again([thing])[0]
    assert type(found) is type(thing)
    assert found == thing


def test_every_schedule_has_a_place_in_the_file():
    from portable_nn.storage.known_objects import OPTIMIZERS, SCHEDULES

    assert set(SCHEDULES) == set(schedules.__all__) - {"Schedule"}
    assert set(OPTIMIZERS) == {"SGD", "RMSprop", "Adam", "AdamW"}


# ---- user-defined objects -----------------------------------------------------------------------------


def double(xp, Z):
    return 2.0 * Z


def double_prime(xp, Z):
    return 2.0 * xp.ones_like(Z)


OWN = pnn.Activation("double", double, double_prime)
IMPOSTOR = pnn.Activation("relu", double, double_prime)


def test_of_user_defined_objects_only_the_name_is_written(again, tmp_path):
    net = pnn.Network((2, 1), [OWN], "squared_error")
    optimizer = pnn.Adam(learning_rate=len)
    twin = pnn.Activation("double", double, double_prime)  # equal, and another object
    custom = {"twice": twin, "my schedule": len}
    assert again([net, optimizer], custom=custom) == [net, optimizer]
    text = json.dumps(take_apart(tmp_path / "file")[0])
    assert "twice" in text
    assert "double" not in text
    with pytest.raises(ValueError, match=r"custom=\{'my schedule': \.\.\., 'twice': \.\.\.\}") as caught:
        read_document(tmp_path / "file")
    assert not isinstance(caught.value, pnn.ModelFormatError)


def test_a_user_defined_schedule_has_to_be_a_function(tmp_path):
    write_document(tmp_path / "f", "test", {"a": pnn.Adam(learning_rate=len)}, {"mine": len})
    with pytest.raises(TypeError, match=r"`custom\['mine'\]` is 3.*`learning_rate`.*a schedule"):
        read_document(tmp_path / "f", {"mine": 3})


@pytest.mark.parametrize(
    "value",
    [IMPOSTOR, OWN, len, object(), {1}, b"x", 1j, np.ma.zeros(2), np.array([1j]), Path(), range(3)],
    ids=[str(n) for n in range(11)],
)
def test_anything_else_is_refused_with_its_place(tmp_path, value):
    with pytest.raises(TypeError, match=r"(?s)`values\['a'\]\[1\]` is .*accepted"):
        write_document(tmp_path / "file", "test", {"a": [0, value]})
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_read_again_is_not_written(tmp_path):
    endless: list = []
    endless.append(endless)
    for value, error, match in (
        (endless, TypeError, "deep or endless"),
        (1 << 20_000, TypeError, "integer of 20001 bits"),
        (np.zeros(3, "U400000"), TypeError, "dtype object"),
        (["a"] * 300_000, ValueError, "NumPy arrays"),
        ([0, 0.5] * 150_000, ValueError, "NumPy arrays"),
        ({frozenset(): 1}, TypeError, "plain values as keys"),
        (np.array([[1], None], object), TypeError, "in an array"),
        ("x" * (1 << 24), ValueError, "bytes as text"),
    ):
        with pytest.raises(error, match=match):
            write_document(tmp_path / "file", "test", {"value": value})
    for kind, values in (("", {}), ("a\nb", {}), (3, {}), ("x", [])):
        with pytest.raises((TypeError, ValueError)):
            write_document(tmp_path / "file", kind, values)
    for custom in ([], {3: 4}, "x"):
        with pytest.raises(TypeError, match="custom"):
            write_document(tmp_path / "file", "test", {}, custom)
    assert not list(tmp_path.iterdir())


# ---- the file ---------------------------------------------------------------------------------------


def test_arrays_are_named_by_their_place(tmp_path):
    W, same = np.ones((2, 3), "f4"), np.zeros(1)
    write_document(
        tmp_path / "f", "test", {"params": {"1": {"W": W}}, "é": same, "params.1": {"W": same}}
    )
    header, _ = take_apart(tmp_path / "f")
    assert set(header) == {"__metadata__", "params.1.W", "params.1.W~2", "\\xe9"}
    values = read_document(tmp_path / "f").values
    assert values["params"]["1"]["W"].shape == (2, 3)
    assert values["params.1"]["W"].shape == (1,)


def test_a_mapped_file_gives_read_only_views(tmp_path, random):
    values = {"a": random.normal(size=(3, 4)), "b": random.normal(size=(3, 4)).T, "c": np.zeros((0, 2))}
    write_document(tmp_path / "f", "test", values)
    found = read_document(tmp_path / "f", mmap=True).values
    for name, array in values.items():
        assert np.array_equal(found[name], array)
        with pytest.raises(ValueError, match="read-only"):
            found[name][...] = 0
    assert type(found["a"]) is np.ndarray
    assert isinstance(found["a"].base.base, np.memmap)
    assert found["a"].flags.aligned


def test_the_safetensors_library_reads_ours_and_we_read_what_it_writes(tmp_path, random):
    numpy = pytest.importorskip("safetensors.numpy")
    arrays = {f"a{n}": random.integers(0, 2, size=(n, 3)).astype(d) for n, d in enumerate(NUMERIC[:-1])}
    write_document(tmp_path / "f", "test", arrays | {"x": (1, "é\n")})
    theirs = numpy.load_file(tmp_path / "f")
    assert theirs.keys() == arrays.keys()
    assert all(alike(theirs[name], array) for name, array in arrays.items())
    metadata = take_apart(tmp_path / "f")[0]["__metadata__"]
    numpy.save_file(theirs, tmp_path / "g", metadata)
    assert (tmp_path / "g").read_bytes() != (tmp_path / "f").read_bytes()
    found = read_document(tmp_path / "g").values
    assert alike(list(found.values()), [*arrays.values(), (1, "é\n")])


def test_a_path_may_be_a_string_or_a_path_object(tmp_path):
    write_document(str(tmp_path / "f"), "test", {})
    assert read_document(tmp_path / "f") == ("test", {}, pnn.__version__)
    with pytest.raises(TypeError):
        write_document(3, "test", {})


def test_values_that_describe_no_object_are_refused(tmp_path):
    path = tmp_path / "f"
    leaky = {"name": "leaky_relu", "slope": 0.2}
    for wrong in (
        {"$activation": leaky},
        {"$activation": leaky | {"at_zero": 7.0}},
        {"$activation": {"name": "tanh", "slope": 1}},
        {"$activation": {"name": "os.system"}},
        {"$activation": {"name": []}},
        {"$loss": {"name": "leaky_relu"}},
        {"$network": {"sizes": [3], "activations": [], "loss": "huber"}},
        {"$network": {"sizes": [3, 1], "activations": ["tanh"], "loss": "huber", "x": 1}},
        {"$optimizer": {"name": "SGD", "momentum": 7.0}},
        {"$optimizer": {"name": "Optimizer"}},
        {"$schedule": {"name": "Schedule"}},
        {"$schedule": {"learning_rate": 1.0}},
        {"$schedule": []},
        {"$object": {"name": "x"}},
        {"$tuple": [], "more": 1},
        {"$tuple": 3},
        {"$float": "1"},
        {"$float": 1.0},
        {"$dict": [[[], 1]]},
        {"$dict": [[1, 2], [1.0, 3]]},
        {"$dict": [[1]]},
        {"$array": "nowhere"},
        {"$array": 3},
        {"$floats": "nowhere"},
        {"$floats": [1.0]},
        {"$ints": 3},
        {"$labels": {"dtype": "U2", "shape": [1], "values": ["abc"]}},
        {"$labels": {"dtype": "U2", "shape": [2], "values": ["ab"]}},
        {"$labels": {"dtype": "U999999999", "shape": [1], "values": ["ab"]}},
        {"$labels": {"dtype": "S2", "shape": [1], "values": ["é😀"]}},
        {"$labels": {"dtype": "f8", "shape": [1], "values": [1.0]}},
        {"$labels": {"dtype": "O", "shape": [1], "values": [[1]]}},
    ):
        write_document(path, "test", {"value": 1})
        with_values(path, lambda values, wrong=wrong: {"value": wrong})
        with pytest.raises(pnn.ModelFormatError, match="f: it"):
            read_document(path)

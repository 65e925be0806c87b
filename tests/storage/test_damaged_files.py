"""What is wrong with a file is said, with its path and a remedy: never another exception, or a hang."""

from __future__ import annotations

import json
import os
import struct
import threading
import time
import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from storage_files import put_together, take_apart, with_right_checksums, with_values

import portable_nn as pnn
from portable_nn.storage import read_document, write_document

pytestmark = pytest.mark.usefixtures("host_only")
VALUES = {"W": np.arange(6.0).reshape(2, 3), "b": np.ones(3, "f4"), "on": np.array([True]), "x": 1.5}


@pytest.fixture
def path(tmp_path):
    write_document(tmp_path / "model", "test", VALUES)
    return tmp_path / "model"


def check_refused(path, cause=None, **options):
    with pytest.raises(pnn.ModelFormatError, match=cause) as caught:
        read_document(path, **options)
    assert str(caught.value).startswith(f"{path}: ")
    assert "; " in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_model_format_error_is_a_value_error():
    assert issubclass(pnn.ModelFormatError, ValueError)


def test_every_flipped_bit_is_found_or_makes_no_difference(path):
    content = path.read_bytes()
    expected, unchanged = repr(read_document(path)), 0
    for at in range(len(content)):
        for bit in range(0, 8, 3):
            changed = bytearray(content)
            changed[at] ^= 1 << (bit + at) % 8
            path.write_bytes(changed)
            try:
                found = read_document(path)
            except pnn.ModelFormatError:
                continue
            assert repr(found) == expected
            unchanged += 1
    assert unchanged < 8  # white space, and such


def test_every_truncated_file_is_refused(path):
    content = path.read_bytes()
    for n in range(len(content)):
        path.write_bytes(content[:n])
        check_refused(path)
    path.write_bytes(b"")
    check_refused(path, "it is empty")
    path.write_bytes(content[:-1])
    check_refused(path, "truncated")
    path.write_bytes(content + b"\0")
    check_refused(path, "1 bytes after its end")


# how a header may lie; each with the cause that is named
LIES = {
    "overlap": (lambda h: h["b"].update(data_offsets=[40, 52]), "overlaps"),
    "gap": (lambda h: h["b"].update(data_offsets=[49, 61]), "gap"),
    "the same place": (lambda h: h["b"].update(data_offsets=[0, 12]), "overlaps"),
    "another size": (lambda h: h["b"].update(shape=[4]), "size"),
    "another dtype": (lambda h: h["b"].update(dtype="I32"), "checksum"),
    "another shape": (lambda h: h["W"].update(shape=[3, 2]), "checksum"),
    "no dtype of ours": (lambda h: h["b"].update(dtype="BF16"), "dtype"),
    "no dtype": (lambda h: h["b"].update(dtype=3), "dtype"),
    "negative offset": (lambda h: h["b"].update(data_offsets=[-12, 0]), "place"),
    "huge offset": (lambda h: h["b"].update(data_offsets=[48, 10**30]), "place"),
    "offset before": (lambda h: h["b"].update(data_offsets=[60, 48]), "size"),
    "offset as float": (lambda h: h["b"].update(data_offsets=[48.0, 60.0]), "place"),
    "offset as string": (lambda h: h["b"].update(data_offsets=["48", "60"]), "place"),
    "offset as boolean": (lambda h: h["on"].update(data_offsets=[60, True]), "place"),
    "one offset": (lambda h: h["b"].update(data_offsets=[48]), "place"),
    "negative shape": (lambda h: h["W"].update(shape=[-2, -3]), "shape"),
    "huge shape": (lambda h: h["b"].update(shape=[10**30]), "shape"),
    "shape as boolean": (lambda h: h["on"].update(shape=[True]), "shape"),
    "shape as number": (lambda h: h["b"].update(shape=3), "shape"),
    "many axes": (lambda h: h["on"].update(shape=[1] * 70), "shape"),
    "nothing in huge axes": (
        lambda h: h.update(e={"dtype": "U8", "shape": [0, *[2**47] * 9], "data_offsets": [0, 0]}),
        "different names",
    ),
    "more in an entry": (lambda h: h["b"].update(more=1), "description"),
    "less in an entry": (lambda h: h["b"].pop("dtype"), "description"),
    "a list as an entry": (lambda h: h.update(b=[]), "description"),
    "an array more": (lambda h: h.update(e={"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}), None),
    "an array renamed": (lambda h: h.update(c=h.pop("b")), "different names"),
    "no metadata": (lambda h: h.pop("__metadata__"), "another program"),
    "metadata of numbers": (lambda h: h["__metadata__"].update(kind=3), "no strings"),
    "metadata as a list": (lambda h: h.update(__metadata__=[]), "no strings"),
    "another kind": (lambda h: h["__metadata__"].update(kind="network"), "checksum of its metadata"),
    "no kind": (lambda h: h["__metadata__"].pop("kind"), "lack kind"),
    "no format": (lambda h: h["__metadata__"].pop("portable_nn_format"), "another program"),
    "a format in words": (lambda h: h["__metadata__"].update(portable_nn_format="one"), "format"),
    "a format too long": (lambda h: h["__metadata__"].update(portable_nn_format="9" * 5000), "format"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_header_that_lies_is_refused(path, lie):
    change, cause = LIES[lie]
    header, data = take_apart(path)
    change(header)
    put_together(path, header, data)
    check_refused(path, cause)


@pytest.mark.parametrize("lie", LIES)
def test_it_is_refused_also_where_its_checksums_are_right(path, lie):
    change, _ = LIES[lie]
    header, data = take_apart(path)
    change(header)
    try:
        with_right_checksums(header, data)
    except (KeyError, TypeError, AttributeError, ValueError):
        return  # nothing that has checksums
    put_together(path, header, data)
    try:
        found = read_document(path)
    except pnn.ModelFormatError:
        return
    assert lie in ("another dtype", "another shape", "another kind")  # a right file, of something else
    assert found.values.keys() == VALUES.keys()


NO_JSON = [
    b'{"a":1,"a":2}',
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":1e999}',
    b'{"a":' + b"9" * 5000 + b"}",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"{" + b"[" * 300_000 + b"}",
    b'{"a":"\xff"}',
    b'{"a":"\xc3\xa9"}',
    b"\xef\xbb\xbf{}",
    b"[]",
    b"3",
    b"{",
    b"{}}",
    b'{"__metadata__":{"a":"\\ud800"}}',
]


@pytest.mark.parametrize("text", NO_JSON, ids=[str(n) for n in range(len(NO_JSON))])
def test_a_header_that_is_no_such_json_is_refused(tmp_path, text):
    check_refused(put_together(tmp_path / "f", text))
    check_refused(put_together(tmp_path / "f", text, b"data"))


VALUE_TEXTS = [
    *("[]", "3", "{", "NaN", '{"a":1e999}', '{"a":1,"a":2}', "[" * 100_000, '{"$tuple":' * 100),
    '{"a":' * 300 + "1" + "}" * 300,
    '{"a":{"$tuple":[' * 100 + "1" + "]}}" * 100,
    '{"W":{"$array":"W"}}',
    '{"W":{"$array":"W"},"b":{"$array":"b"},"on":{"$array":"on"},"again":{"$array":"on"}}',
]


@pytest.mark.parametrize("text", VALUE_TEXTS, ids=[str(n) for n in range(len(VALUE_TEXTS))])
def test_values_that_are_none_are_refused(path, text):
    with_values(path, lambda _: text)
    check_refused(path)


def test_a_key_twice_is_refused_though_all_else_is_right(path):
    with_values(path, lambda values: json.dumps(values).replace('"x": 1.5', '"x": 1.5, "x": 1.5'))
    check_refused(path, "key twice")
    write_document(path, "test", VALUES)
    header, data = take_apart(path)
    text = json.dumps(header)
    entry = json.dumps({"b": header["b"]})[1:-1]
    put_together(path, text.replace(entry, f"{entry}, {entry}").encode(), data)
    check_refused(path, "key twice")


def test_bytes_that_are_no_booleans_are_refused(path):
    header, data = take_apart(path)
    changed = data[:-1] + b"\x02"
    put_together(path, with_right_checksums(header, changed), changed)
    check_refused(path, "booleans")


def test_a_wrong_checksum_names_the_array(path):
    content = path.read_bytes()
    path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    check_refused(path, "checksum of the array 'b'")
    assert read_document(path, mmap=True).values["x"] == 1.5  # as it says: not checked


def test_a_file_from_the_future_says_so(path):
    header, data = take_apart(path)
    header["__metadata__"] = {"portable_nn_format": "2", "portable_nn_version": "9.9"}
    put_together(path, header, data)
    check_refused(path, r"format 2, written by portable_nn '9\.9'.*; update portable_nn")


@pytest.mark.parametrize(
    "content", [b"\x80\x04\x95", b"PK\x03\x04" * 9, b"\x89HDF\r\n\x1a\n" * 3, b"x" * 99]
)
def test_files_of_other_formats_are_refused(tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    check_refused(tmp_path / "f", "no safetensors file.*; accepted: a file that")


def test_safetensors_files_of_others_are_refused(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    for metadata in (None, {"format": "pt"}):
        numpy.save_file({"a": np.ones(3)}, tmp_path / "f", metadata)
        check_refused(tmp_path / "f", "another program")


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_document(tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError, match="folder; accepted"):
        read_document(tmp_path)
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes on this system")
    os.mkfifo(tmp_path / "pipe")
    check_refused(tmp_path / "pipe", "a device or a pipe")
    check_refused("/dev/zero", "a device or a pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    check_refused(tmp_path / "link", "a device or a pipe")


def test_a_pipe_that_has_taken_the_place_of_a_file_is_not_waited_for(path, tmp_path, monkeypatch):
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes on this system")
    os.mkfifo(tmp_path / "pipe")
    seen = os.stat(path)
    monkeypatch.setattr(os, "stat", lambda *_, **__: seen)  # what was there a moment ago
    reader = threading.Thread(target=check_refused, args=(tmp_path / "pipe", "pipe"), daemon=True)
    reader.start()
    reader.join(10)
    assert not reader.is_alive()


# ---- memory and time ----------------------------------------------------------------------------------

BOMBS = {
    "lists": lambda n: b'{"a":[' + b"[]," * (n // 3) + b"0]}",
    "objects": lambda n: b'{"a":[' + b"{}," * (n // 3) + b"0]}",
    "numbers": lambda n: b'{"a":[' + b"1.5," * (n // 4) + b"0]}",
    "wide characters": lambda n: b'{"a":"' + b"x" * n + b'\\ud83d\\ude00"}',
    "a long number": lambda n: b'{"a":0.' + b"1" * n + b"}",
    "many keys": lambda n: b"{" + b",".join(b'"%d":0' % k for k in range(n // 12)) + b"}",
    "metadata": lambda n: b'{"__metadata__":{"values":"' + b"\\u005b" * (n // 6) + b'"}}',
}


@contextmanager
def memory_below(most):
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bomb", BOMBS)
def test_memory_is_bounded_by_twice_the_file(tmp_path, bomb):
    path = put_together(tmp_path / "f", BOMBS[bomb](3_000_000))
    started = time.perf_counter()
    with memory_below(2 * path.stat().st_size + 20e6):
        check_refused(path)
    assert time.perf_counter() - started < 20


def test_values_that_grow_when_read_are_refused(path):
    with_values(path, lambda _: '{"a":[' + "{}," * 400_000 + "0]}")
    with memory_below(2 * path.stat().st_size + 20e6):
        check_refused(path, r"more than 2\d* values")


def test_a_header_that_is_too_long_is_refused_before_it_is_read(tmp_path):
    with open(tmp_path / "f", "wb") as file:
        file.write(struct.pack("<Q", 1 << 30))
        file.truncate((1 << 30) + 8)  # a sparse file
    with memory_below(1e6):
        check_refused(tmp_path / "f", "bytes; at most")


def test_reading_takes_the_memory_of_the_arrays_once(tmp_path):
    values = {"a": np.ones((1000, 1000)), "b": np.ones((1000, 500), "f4")}
    write_document(tmp_path / "f", "test", values)
    with memory_below(1.1 * (tmp_path / "f").stat().st_size + 1e6):
        found = read_document(tmp_path / "f")
    assert np.array_equal(found.values["a"], values["a"])

"""What travels comes out equal, bit for bit; nothing that could run code gets in."""

import math
import pickle
from contextlib import suppress

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from model_hooks import AblateHead, Decoding
from model_hooks.cluster import wire
from model_hooks.cluster.listed import errors, records
from model_hooks.cluster.wire import WireError, pack, unpack
from model_hooks.host import Question, Run

PLAIN = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.floats()
    | some.text(some.characters(codec=None))
    | some.binary(max_size=20),
    lambda inner: (
        some.lists(inner, max_size=4)
        | some.lists(inner, max_size=4).map(tuple)
        | some.dictionaries(some.integers() | some.text(), inner, max_size=3)
    ),
    max_leaves=12,
)


def same(a, b):
    """Equal, of equal types, and numbers to the last bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, float):
        return np.float64(a).tobytes() == np.float64(b).tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@settings(max_examples=60, deadline=None)
@given(PLAIN)
def test_plain_values_come_out_as_they_went_in(value):
    assert same(unpack(pack(value)), value)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i8", "u1", "?", ">f4"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
def test_arrays_come_out_as_they_went_in(dtype, shape):
    array = np.arange(math.prod(shape)).astype(dtype).reshape(shape)
    for one in (array, array.T, array[..., ::2] if shape else array):
        out = unpack(pack(one))
        assert same(out, one)
        assert out.size == 0 or out.strides == one.copy(order="K").strides
        assert not out.flags.writeable


@pytest.mark.parametrize(
    "value",
    [np.float32(0.1), np.float64(math.nan), np.int64(-3), np.bool_(True), math.nan, -0.0],
)
def test_numbers_come_out_as_they_went_in(value):
    assert same(np.asarray(unpack(pack(value))), np.asarray(value))
    assert type(unpack(pack(value))) is type(value)


def test_sets_slices_and_records_come_out_as_they_went_in():
    run = Run("m", (1, 2), (AblateHead(0, 1),))
    question = Question("model_hooks.read.lens:lens_at", run, (Decoding("sample", seed=3),))
    for value in ({1, 2}, frozenset({"a"}), slice(1, None), question, {(1, "a"): [run]}):
        assert same(unpack(pack(value), strict=True), value)


@pytest.mark.parametrize(
    "value",
    [object(), print, 1j, np.array(["a"]), np.array([object()]), range(3), ValueError("x"), int],
)
def test_nothing_else_travels(value):
    for one in (value, (value,), {"a": [value]}):
        with pytest.raises(WireError):
            pack(one)


class Evil:
    def __reduce__(self):
        return print, ("it ran",)


def ext(code, *parts):
    return msgpack.packb(msgpack.ExtType(code, msgpack.packb(list(parts))))


def deep(n):
    data = msgpack.packb(1)
    for _ in range(n):
        data = msgpack.packb(msgpack.ExtType(wire._Code.TUPLE, data))
    return data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        pickle.dumps(Evil()),
        msgpack.packb(1) + b"x",
        ext(99, 1),
        ext(wire._Code.RECORD, "builtins:eval", "1"),
        ext(wire._Code.RECORD, "host:Host", "1"),
        ext(wire._Code.RECORD, "host:Run", "m"),
        ext(wire._Code.RECORD, ["host:Run"], "m"),
        ext(wire._Code.RECORD, "write.decoding:Decoding", "no such strategy"),
        ext(wire._Code.ARRAY, "O", [1], "C", b"12345678"),
        ext(wire._Code.ARRAY, "<f4", [2], "C", b"1234"),
        ext(wire._Code.ARRAY, "<f4", [-1, 0], "C", b""),
        ext(wire._Code.NUMBER, "O", b"12345678"),
        ext(wire._Code.NUMBER, "<f8", b"1"),
        ext(wire._Code.CHOICE, "host:Run", "__class__"),
        ext(wire._Code.SET, [1]),
        deep(60),
        deep(2000),
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_foreign_bytes_are_refused(data, capsys):
    with pytest.raises(WireError):
        unpack(data, strict=True)
    assert capsys.readouterr().out == ""


@settings(max_examples=60, deadline=None)
@given(some.binary(max_size=60))
def test_random_bytes_are_values_or_refused(data):
    with suppress(WireError):
        unpack(data, strict=True)


def test_records_are_compared_with_their_types():
    data = pack(Run("m", (1, "x")))
    assert unpack(data) == ("m", (1, "x"), ())
    with pytest.raises(WireError, match="token_ids"):
        unpack(data, strict=True)


def test_every_record_and_error_can_be_made_of_what_travels():
    assert len(records()) > 80
    assert all(str(kind("a sentence")) == "a sentence" for kind in errors().values())

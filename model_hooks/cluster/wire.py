"""How do plain values become bytes and back, without anything that could run code?

    data = pack(lens)           # msgpack, with types of its own for what msgpack does not know
    unpack(data) == lens

Numbers, text, tuples, lists, sets, dicts, NumPy arrays and the classes of `listed.records()`
travel; all else is refused on both sides. What comes out equals what went in, bit for bit.
"""

import enum
from collections.abc import Callable
from enum import IntEnum
from typing import Any

import msgpack
import numpy as np

from model_hooks.cluster.checked import fits
from model_hooks.cluster.listed import fields_of, hints_of, name_of_class, records

MOST_DEEP = 40
"""Values inside of values; what Inlook sends has a tenth of that."""
NUMBERS = "biuf"
"""Kinds of NumPy arrays that travel: truth values, whole numbers and numbers."""


class WireError(ValueError):
    """A value or bytes that do not travel."""


class _Code(IntEnum):
    TUPLE, SET, FROZEN_SET, ARRAY, NUMBER, WHOLE, RECORD, CHOICE, SLICE = range(1, 10)


def pack(value: Any) -> bytes:
    """Return the bytes of a value.

    Raises:
        WireError: It, or something in it, does not travel.
    """
    try:
        return _packed(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise WireError(f"a {type(value).__name__} does not travel: {error}") from error


def unpack(data: bytes, *, strict: bool = False) -> Any:
    """Return the value of some bytes. Arrays cannot be written to.

    Args:
        data: As `pack` made them.
        strict: Whether the fields of records are compared with their types.

    Raises:
        WireError: The bytes are none of a value that travels.
    """
    try:
        return _Reader(strict).read(data)
    except WireError:
        raise
    except Exception as error:  # whatever the constructor of a record says of its fields
        raise WireError(f"bytes that are no value: {error}") from error


def _packed(value: Any) -> bytes:
    packer = msgpack.Packer(default=_extension, strict_types=True, unicode_errors="surrogatepass")
    return bytes(packer.pack(value))


def _extension(value: Any) -> msgpack.ExtType:
    for kinds, code, parts_of in _WRITERS:
        if type(value) in kinds:
            return msgpack.ExtType(code, _packed(parts_of(value)))
    if isinstance(value, np.ndarray):
        return msgpack.ExtType(_Code.ARRAY, _packed(_parts_of_array(value)))
    if isinstance(value, np.generic) and value.dtype.kind in NUMBERS:
        return msgpack.ExtType(_Code.NUMBER, _packed([value.dtype.str, value.tobytes()]))
    kind = type(value)
    name = name_of_class(kind)
    if records().get(name) is not kind:
        raise WireError(f"{name} is no class that travels")
    if isinstance(value, enum.Enum):
        return msgpack.ExtType(_Code.CHOICE, _packed([name, value.name]))
    parts = [getattr(value, field) for field in fields_of(kind)]
    return msgpack.ExtType(_Code.RECORD, _packed([name, *parts]))


def _parts_of_array(value: np.ndarray) -> list[Any]:
    if value.dtype.kind not in NUMBERS:
        raise WireError(f"an array of {value.dtype} does not travel")
    order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    return [value.dtype.str, list(value.shape), order, value.tobytes(order)]


_WRITERS: tuple[tuple[tuple[type, ...], _Code, Callable[[Any], list[Any] | str]], ...] = (
    ((tuple,), _Code.TUPLE, list),
    ((frozenset,), _Code.FROZEN_SET, list),
    ((set,), _Code.SET, list),
    ((int,), _Code.WHOLE, hex),  # beyond 64 bits
    ((slice,), _Code.SLICE, lambda value: [value.start, value.stop, value.step]),
)


class _Reader:
    """Reads one value."""

    def __init__(self, strict: bool) -> None:
        self._strict, self._depth = strict, 0

    def read(self, data: bytes) -> Any:
        if self._depth > MOST_DEEP:
            raise WireError("too many values inside of values")
        self._depth += 1
        value = msgpack.unpackb(
            data, ext_hook=self._value, strict_map_key=False, unicode_errors="surrogatepass"
        )
        self._depth -= 1
        return value

    def _value(self, code: int, data: bytes) -> Any:
        parts = self.read(data)
        match code:
            case _Code.TUPLE:
                return tuple(parts)
            case _Code.SET:
                return set(parts)
            case _Code.FROZEN_SET:
                return frozenset(parts)
            case _Code.ARRAY:
                return _array(*parts)
            case _Code.NUMBER:
                return np.frombuffer(parts[1], _number_type(parts[0]), 1)[0]
            case _Code.WHOLE:
                return int(parts, 16)
            case _Code.SLICE:
                return slice(*parts)
            case _Code.CHOICE:
                return _record(parts[0], enum.Enum)[parts[1]]
            case _Code.RECORD:
                return self._record(*parts)
        raise WireError(f"no values have the code {code}")

    def _record(self, name: str, *parts: Any) -> Any:
        kind: Any = _record(name, object)
        names = fields_of(kind)
        if len(names) != len(parts) or issubclass(kind, enum.Enum):
            raise WireError(f"{name} has {len(names)} fields, not {len(parts)}")
        given = dict(zip(names, parts, strict=True))
        if self._strict:
            hints = hints_of(kind)
            for field, value in given.items():
                if field in hints and not fits(value, hints[field]):
                    raise WireError(f"{field} of {name} is something else")
        return kind(**given)


def _record(name: Any, base: type) -> Any:
    kind = records().get(name)
    if kind is None or not issubclass(kind, base):
        raise WireError(f"{name!r} is no class that travels")
    return kind


def _array(dtype: str, shape: list[int], order: str, data: bytes) -> np.ndarray:
    flat = np.frombuffer(data, _number_type(dtype))
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _number_type(name: str) -> np.dtype:
    dtype = np.dtype(str(name))
    if dtype.kind not in NUMBERS:
        raise WireError(f"{name} is no type of numbers")
    return dtype

"""How a view is written into an address and read from one: by the types of its fields.

Numbers, truth values, words of a `Literal`, texts, `X | None`, tuples of them and interventions are
written so that people can read them; long texts are compressed. A pinned run is one value, an
address within the address. Each value that cannot be read is ignored by itself.
"""

import base64
import functools
import math
import types
import typing
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from model_hooks import Intervention, intervention_kinds
from pages.state.view import changed_copy, fields_of, first_seen, value_of

LONG = 300
"""Longer texts (in characters) are compressed."""
LONGEST = 1_000_000
"""A link that unpacks to more is not believed."""
SHARED_UP_TO = 8_000
"""Longer links get lost on their way through proxies and chat programs."""

KEPT = 256
"""Views whose addresses are kept: some for each visitor."""
NONE = "~"
Viewed = TypeVar("Viewed")


def encode(view: Any) -> dict[str, str]:
    """Write what differs from the defaults as query parameters."""
    return dict(_encoded(view))


@functools.lru_cache(maxsize=KEPT)
def _encoded(view: Any) -> Mapping[str, str]:
    """A page has a dozen links, and all visitors begin with the same view."""
    return {n: _packed(text) if len(text) > LONG else text for n, text in _texts(view).items()}


def _texts(view: Any) -> dict[str, str]:
    """What differs from the defaults, by the names that it has in addresses."""
    default, found = first_seen(type(view)(), getattr(view, "model", None)), {}
    for name, (of, metadata) in fields_of(type(view)).items():
        if (value := value_of(view, name)) != value_of(default, name):
            text = metadata.get("none", NONE) if value is None else _write(of, value)
            found[_address_name(name, metadata)] = text
    return found


def decode(kind: type[Viewed], address: Mapping[str, str]) -> Viewed:
    """Read query parameters; each unknown or damaged value is ignored by itself."""
    return _decoded(kind, address)[0]


def unreadable(kind: type, address: Mapping[str, str]) -> tuple[str, ...]:
    """Return the fields of a view of which an address tells values that cannot be read."""
    return _decoded(kind, address)[1]


def _decoded(kind: type[Viewed], address: Mapping[str, str]) -> tuple[Viewed, tuple[str, ...]]:
    found, damaged, fields = kind(), [], fields_of(kind)
    for name, (of, metadata) in fields.items():
        if (text := address.get(_address_name(name, metadata))) is None:
            continue
        try:
            text = _unpacked(text) if text.startswith("*") else text
            value = None if text == metadata.get("none") else _read(of, text)
            found = changed_copy(found, {name: value})
        except (KeyError, ValueError, OverflowError, TypeError):
            damaged.append(name)
    told = {
        name for name, (_, metadata) in fields.items() if _address_name(name, metadata) in address
    }
    return first_seen(found, getattr(found, "model", None), told), tuple(damaged)


def field_value(kind: type, name: str, told: Any) -> Any:
    """Return the value of a field as people write it: a text, a number, a list of such.

    Raises:
        KeyError: A view of this kind has no such field.
        ValueError: The field cannot have that value.
    """
    of, _ = fields_of(kind)[name]
    if _without_none(of) is str and isinstance(told, str):
        return told
    if isinstance(told, list | tuple):
        items = [_told(one) for one in told]
        is_numbers = typing.get_args(_without_none(of))[:1] == (int,)
        text = ".".join(items) or "." if is_numbers else "".join(f"{one}~" for one in items)
    else:
        text = NONE if told == NONE else _told(told)
    try:
        return _read(of, text)
    except (KeyError, OverflowError, TypeError) as error:
        raise ValueError(f"{told!r} cannot be read") from error


def _told(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else _escaped(str(value))


def names_in(kind: type, text: str) -> list[str]:
    """Return which fields of a view a list of names in an address names."""
    known = fields_of(kind)
    return [name for name in text.split("~") if name in known]


def is_long(address: Mapping[str, str]) -> bool:
    """Tell whether a link is too long to be shared everywhere."""
    return sum(len(name) + len(text) + 2 for name, text in address.items()) > SHARED_UP_TO


def _address_name(name: str, metadata: Mapping[str, Any]) -> str:
    """What belongs to a value that all pages share is called by its last name alone."""
    return name.rpartition(".")[2] if metadata.get("flat") else name


def _packed(text: str) -> str:
    return "*" + base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")


def _unpacked(text: str) -> str:
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(base64.urlsafe_b64decode(text[1:] + "=="), LONGEST)
    except zlib.error as error:
        raise ValueError("damaged") from error
    if not unpacker.eof:
        raise ValueError("cut off, or too long")
    return unpacked.decode()


def _write(of: Any, value: Any) -> str:
    if value is None:
        return NONE
    inner = _without_none(of)
    if typing.get_origin(inner) is tuple:
        (item, *_) = typing.get_args(inner)
        if item is int:
            return ".".join(map(str, value)) or "."
        return "".join(_write(item, one) + "~" for one in value)
    if inner is Intervention:
        parts = [_write(kind, getattr(value, name)) for name, kind in _parts_of(type(value))]
        return _escaped(",".join([type(value).name, *parts]))
    if is_dataclass(inner):
        return _escaped(urlencode(_texts(value) or {"": ""}))
    if isinstance(value, bool):
        return str(int(value))
    return _escaped(value) if isinstance(value, str) else str(value)


def _read(of: Any, text: str) -> Any:
    inner, arguments = _without_none(of), typing.get_args(_without_none(of))
    if inner is not of and text == NONE:
        return None
    if typing.get_origin(inner) is tuple:
        items = _read_tuple(arguments[0], text)
        if arguments[-1] is not Ellipsis and len(items) != len(arguments):
            raise ValueError(f"{len(items)} values for {len(arguments)}")
        return items
    if inner is Intervention:
        return _read_intervention(_unescaped(text))
    if is_dataclass(inner):
        return _read_whole(inner, _unescaped(text))
    if typing.get_origin(inner) is typing.Literal or inner is bool:
        options = arguments or (False, True)
        written = {_write(inner, option): option for option in options}
        return written[{"True": "1", "False": "0"}.get(text, text) if inner is bool else text]
    if inner is str:
        return _unescaped(text)
    if not math.isfinite(float(text)):
        raise ValueError(f"{text} is not a finite number")
    return inner(text)


def _read_whole(kind: Any, text: str) -> Any:
    """Read a value of several fields; where one of them is damaged, it is another value."""
    if not text:
        raise ValueError("nothing is told")
    pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    found, damaged = _decoded(kind, dict(pairs))
    if damaged:
        raise ValueError(f"{', '.join(damaged)} cannot be read")
    return found


def _read_tuple(item: Any, text: str) -> tuple:
    if item is int:
        return tuple(int(one) for one in text.split(".")) if text != "." else ()
    *items, end = text.split("~")
    if end:
        raise ValueError("cut off")
    return tuple(_read(item, one) for one in items)


def _read_intervention(text: str) -> Intervention:
    name, *parts = text.split(",")
    kind = intervention_kinds()[name]
    written = zip(_parts_of(kind), parts, strict=True)
    return kind(**{field: _read(of, part) for (field, of), part in written})


def _parts_of(kind: type) -> list[tuple[str, Any]]:
    hints = typing.get_type_hints(kind)
    return [(of.name, hints[of.name]) for of in fields(kind)]


def _without_none(of: Any) -> Any:
    """`X | None` without the None; anything else as it is."""
    if of is not Intervention and typing.get_origin(of) in (typing.Union, types.UnionType):
        rest = [one for one in typing.get_args(of) if one is not type(None)]
        return rest[0] if len(rest) == 1 else of
    return of


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("~", "%7E").replace("*", "%2A")


def _unescaped(text: str) -> str:
    return text.replace("%2A", "*").replace("%7E", "~").replace("%25", "%")

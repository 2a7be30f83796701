"""The link: whatever a view holds comes back from it, and damage spoils only itself."""

import string
import types
import typing
from dataclasses import dataclass, field, is_dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as some

import app as entry  # imports every page, so that the whole view has all their parts
from model_hooks import (
    AblateAttention,
    AblateHead,
    AttentionPattern,
    Decoding,
    Intervention,
    Knockout,
    ShareKVHeads,
)
from model_hooks.opening.installed import SMOLLM2
from pages.state.link import decode, encode, is_long, unreadable
from pages.state.view import Selection, View, changed_copy, fields_of, value_of, whole_view


@dataclass(frozen=True)
class Inner:
    words: tuple[str, ...] = ()
    tab: Literal["map", "lines"] = "map"
    ids: tuple[int, ...] | None = None
    pair: tuple[int, int] | None = None


@dataclass(frozen=True)
class Outer:
    text: str = "at first"
    number: int | None = None
    ratio: float = 1.0
    on: bool = True
    head: int | None = field(default=0, metadata={"none": "mean"})
    decoding: Decoding = field(default=Decoding(), metadata={"flat": True})
    inner: Inner = Inner()


PINNED = Selection(
    prompt="50% ~a*b&c=d%7E ü\n" * 30,
    decoding=Decoding("sample", temperature=0.7, seed=3),
    interventions=(AblateHead(1, 0), Knockout(4, 1)),
    written=(5, 6),
    turns=("user:Hi & bye",),
)

texts = some.text(max_size=400)
outers = some.builds(
    Outer,
    text=texts,
    number=some.none() | some.integers(-(2**70), 2**70),
    ratio=some.floats(allow_nan=False, allow_infinity=False),
    on=some.booleans(),
    head=some.none() | some.integers(0, 40),
    decoding=some.builds(
        Decoding,
        strategy=some.sampled_from(["greedy", "sample"]),
        temperature=some.floats(0.01, 5),
        top_k=some.none() | some.integers(1, 10**6),
        seed=some.integers(0, 2**60),
    ),
    inner=some.builds(
        Inner,
        words=some.lists(texts, max_size=4).map(tuple),
        tab=some.sampled_from(["map", "lines"]),
        ids=some.none() | some.lists(some.integers(0, 10**6), max_size=300).map(tuple),
        pair=some.none() | some.tuples(some.integers(0, 99), some.integers(0, 99)),
    ),
)


@given(outers)
def test_any_view_comes_back_from_its_link(view):
    assert decode(Outer, encode(view)) == view


def test_what_is_as_at_first_is_not_in_the_link():
    assert encode(Outer()) == {}


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({"decoding.temperature": 0.5}, {"temperature": "0.5"}),
        ({"head": None}, {"head": "mean"}),
        ({"inner.tab": "lines"}, {"inner.tab": "lines"}),
        ({"inner.ids": (3, 1, 4)}, {"inner.ids": "3.1.4"}),
        ({"on": False}, {"on": "0"}),
        ({"text": "50% *off*~"}, {"text": "50%25 %2Aoff%2A%7E"}),
    ],
)
def test_people_can_read_a_link(changes, address):
    assert encode(changed_copy(Outer(), changes)) == address


DAMAGED = {
    "number": ["x", "1e5", "inf", ""],
    "ratio": ["nan", "inf", "1,5", "--1"],
    "on": ["5", "yes", ""],
    "text": ["*%%%", "*AAAA", "*eJw"],
    "temperature": ["0", "-1", "cold"],
    "top_k": ["0", "-3", "0.5"],
    "strategy": ["best"],
    "inner.tab": ["zz", "Map"],
    "inner.words": ["cat", "cat~dog"],
    "inner.ids": ["1.x", "1~2", "1..2"],
    "inner.pair": ["1", "1.2.3"],
    "junk": ["1"],
}


@pytest.mark.parametrize(("name", "text"), [(n, t) for n, all_ in DAMAGED.items() for t in all_])
def test_a_damaged_value_is_ignored_by_itself(name, text):
    good = {"head": "3", "inner.ids": "7"} if name != "inner.ids" else {"head": "3"}
    assert decode(Outer, {name: text, **good}) == decode(Outer, good)
    assert len(unreadable(Outer, {name: text, **good})) == (name != "junk")
    assert unreadable(Outer, good) == ()


def test_a_compressed_text_that_is_cut_off_is_ignored():
    whole = encode(changed_copy(Outer(), {"text": "word " * 500}))["text"]
    assert len(whole) < 100
    for cut in range(1, len(whole)):
        assert decode(Outer, {"text": whole[:cut]}).text == "at first"


def test_a_text_of_ten_thousand_characters_fits_into_a_link_that_can_be_shared():
    letters = (string.ascii_lowercase + "  ") * 400
    text = " ".join(letters[i : i + 5] + str(i) for i in range(0, 7000, 6))[:10_000]
    address = encode(changed_copy(Outer(), {"text": text}))
    assert decode(Outer, address).text == text
    assert not is_long(address)
    assert is_long({"text": "x" * 9000})


def test_interventions_of_every_kind_come_back():
    chosen = (
        AblateHead(2, 5),
        AblateAttention(0),
        Knockout(4, 1),
        Knockout(4, 1, layer=0, head=3),
        AttentionPattern("window_first", window=9, n_first=2, layers=(0, 2)),
        ShareKVHeads(1),
    )
    view = changed_copy(whole_view()(), {"interventions": chosen})
    assert decode(whole_view(), encode(view)).interventions == chosen


@pytest.mark.parametrize(
    "text", ["ablate_head,0~", "ablate_head,x,y~", "no_such_thing,1~", "ablate_head,0,0", "window~"]
)
def test_damaged_interventions_switch_nothing_off(text):
    assert decode(whole_view(), {"interventions": text}).interventions == ()


@pytest.mark.parametrize("pinned", [Selection(), Selection(model="other"), PINNED])
def test_a_pinned_run_comes_back(pinned):
    view = changed_copy(whole_view()(), {"pinned": pinned, "model": "third"})
    assert decode(whole_view(), encode(view)) == view


@pytest.mark.parametrize("text", ["", "temperature=-1", "written=1.x", "model", "*AAAA"])
def test_a_damaged_pinned_run_is_none_and_the_rest_is_there(text):
    address = {"pinned": text, "layer": "2"}
    assert decode(whole_view(), address) == decode(whole_view(), {"layer": "2"})
    assert unreadable(whole_view(), address) == ("pinned",)


def test_every_field_of_every_page_can_be_written_and_read():
    kind = whole_view()
    folders = {place.folder for group in entry.PAGES.values() for place in group}
    assert {name.partition(".")[0] for name in fields_of(kind) if "." in name} >= folders
    for name, (of, _) in fields_of(kind).items():
        other = _another_value(of, value_of(kind(), name))
        changed = changed_copy(kind(), {name: other})
        assert value_of(decode(kind, encode(changed)), name) == other, name


def _another_value(of, default):
    """A value of a field's type that is not its default."""
    kinds = [kind for kind in typing.get_args(of) if kind is not type(None)]
    if typing.get_origin(of) in (types.UnionType, typing.Union):
        return _some_value(kinds[0]) if default is None else _another_value(kinds[0], default)
    if typing.get_origin(of) is typing.Literal:
        return next(option for option in kinds if option != default)
    if of is bool:
        return not default
    return default + 1 if of is int else _some_value(of)


def _some_value(of):
    kinds = typing.get_args(of)
    if typing.get_origin(of) is typing.Literal:
        return kinds[-1]
    if typing.get_origin(of) is tuple:
        return tuple(_some_value(kinds[0]) for _ in range(2))
    if of is Intervention:
        return AblateHead(1, 0)
    if is_dataclass(of):
        return PINNED
    return {int: 3, float: 0.5, str: "~a*b%7E", bool: True}[of]


@pytest.mark.parametrize("model", [SMOLLM2.name, "storyteller", "a-model-of-mine"])
@pytest.mark.parametrize("look", [{"layer": 4, "head": 4}, {"layer": 18, "head": 6}])
def test_a_layer_and_head_come_back_whatever_a_model_is_first_looked_at(model, look):
    seen = changed_copy(View(), {"model": model, **look})
    assert decode(View, encode(seen)) == seen


def test_a_link_that_names_a_model_alone_looks_where_it_is_first_looked_at():
    first = decode(View, {"model": SMOLLM2.name})
    assert (first.layer, first.head) == (18, 6)
    other = decode(View, {"model": SMOLLM2.name, "head": "mean"})
    assert (other.layer, other.head) == (18, None)
    bundled = decode(View, {})
    assert (bundled.layer, bundled.head) == (View().layer, View().head)

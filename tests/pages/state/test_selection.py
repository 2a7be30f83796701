"""The selection survives page changes, prompts of any kind and links of any kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.state.selection import MAX_LINK_PROMPT, Selection, from_link, to_link

whole = st.integers(0, 10**6)
selections = st.builds(
    Selection,
    model=st.text(),
    prompt=st.text(max_size=MAX_LINK_PROMPT),
    pos=st.none() | whole,
    layer=whole,
    head=st.none() | whole,
    strategy=st.sampled_from(["greedy", "sample"]),
    temperature=st.floats(0.01, 100),
    top_k=st.none() | whole,
    top_p=st.none() | st.floats(0, 1),
    min_p=st.none() | st.floats(0, 1),
    repetition_penalty=st.floats(0.01, 100),
    seed=whole,
    use_cache=st.booleans(),
    written=st.lists(whole, max_size=50).map(tuple),
)


@given(selections)
def test_link_restores_the_selection(selected):
    assert from_link(to_link(selected)) == selected


@given(st.dictionaries(st.sampled_from(list(Selection.__annotations__)), st.text()))
def test_any_link_gives_a_selection(link):
    assert isinstance(from_link(link), Selection)


def test_defaults_leave_the_address_empty():
    assert to_link(Selection()) == {}


def test_unreadable_values_keep_their_defaults():
    assert from_link({"layer": "two", "temperature": "nan", "strategy": "beam"}) == Selection()


def test_prompt_too_long_for_an_address_is_left_out():
    assert to_link(Selection(prompt="x" * 100_000, layer=2)) == {"layer": "2"}


@pytest.mark.parametrize("value", ["-3", "-0"])
def test_negative_layer_becomes_the_first(value):
    assert from_link({"layer": value}).layer == 0

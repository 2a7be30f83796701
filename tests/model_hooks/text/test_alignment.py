"""Tokens of two texts: what is equal shares a place, what differs is told, nothing is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from model_hooks.text.alignment import Place, align, align_by_characters, both, partner_of

texts = some.lists(some.sampled_from("abc"), max_size=12)


def test_one_word_that_differs_is_marked_and_all_else_stays_in_place():
    places = align([1, 2, 3, 4], [1, 9, 3, 4])
    assert places == (
        Place(0, 0, True),
        Place(1, 1, False),
        Place(2, 2, True),
        Place(3, 3, True),
    )


def test_where_one_text_has_more_the_other_has_gaps():
    assert align([1, 4], [1, 2, 3, 4]) == (
        Place(0, 0, True),
        Place(None, 1, False),
        Place(None, 2, False),
        Place(1, 3, True),
    )


@given(texts, texts)
def test_every_token_has_one_place_in_order(a, b):
    for places in (
        align(a, b),
        align_by_characters([x.encode() for x in a], [x.encode() for x in b]),
    ):
        assert [place.a for place in places if place.a is not None] == list(range(len(a)))
        assert [place.b for place in places if place.b is not None] == list(range(len(b)))
        assert all(a[i] == b[j] for i, j, equal in places if equal)


@given(texts)
def test_a_text_against_itself_is_equal_everywhere(a):
    assert align(a, a) == tuple(Place(i, i, True) for i in range(len(a)))
    as_bytes = [x.encode() for x in a]
    assert align_by_characters(as_bytes, as_bytes) == align(a, a)


def test_two_tokenizers_meet_where_the_same_character_ends_a_token():
    a = [b"the", b" light", b"h", b"ouse", b" is"]
    b = [b"the", b" lighthouse", b" is"]
    assert align_by_characters(a, b) == (
        Place(0, 0, True),
        Place(1, None, False),
        Place(2, None, False),
        Place(3, 1, False),
        Place(4, 2, True),
    )


def test_two_tokenizers_and_another_word():
    a, b = [b"Lily", b" s", b"aw", b" it"], [b"Tim", b" saw", b" it"]
    assert both(align_by_characters(a, b)) == ((0, 0), (2, 1), (3, 2))


@pytest.mark.parametrize(("pos", "partner"), [(0, 0), (1, None), (3, 1)])
def test_a_position_has_the_partner_in_its_place(pos, partner):
    assert partner_of(align([1, 4], [1, 2, 3, 4]), pos) == partner

"""Tokens are put into another order, and nothing else happens to them."""

from pages.positions.swap import shuffled, swapped, two_places


def test_two_tokens_change_places():
    assert swapped((5, 6, 7), 0, 2) == (7, 6, 5)


def test_shuffling_keeps_the_ends_and_the_tokens():
    ids = shuffled((0, 1, 2, 3, 4, 5, 9), 1, seed=3)
    assert (ids[0], ids[-1]) == (0, 9)
    assert sorted(ids) == [0, 1, 2, 3, 4, 5, 9]
    assert ids != (0, 1, 2, 3, 4, 5, 9)


def test_each_number_gives_another_order_and_always_the_same():
    orders = [shuffled(range(12), 0, seed) for seed in (1, 2, 1)]
    assert orders[0] != orders[1]
    assert orders[0] == orders[2]


def test_the_name_that_is_copied_is_swapped_with_the_one_before_it():
    assert two_places(range(1, 13), 3) == (1, 3)  # Lily and Tim went to the lighthouse. Lily and


def test_two_near_the_end_are_swapped_where_nothing_is_copied():
    assert two_places(range(1, 13), None) == (10, 11)
    assert two_places(range(1, 13), 2) == (10, 11)  # nothing that may move stands before it
    assert two_places(range(2), None) == (0, 1)

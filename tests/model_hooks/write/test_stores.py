"""Stores that share a limit drop what was used longest ago, whoever holds it."""

import gc

from model_hooks.write.stores import BoundedStore, SharedBytes


def pair(shared_bytes, own_bytes=100):
    shared = SharedBytes(shared_bytes)
    return [BoundedStore(own_bytes, len, shared) for _ in range(2)]


def test_what_was_used_longest_ago_goes_first_in_either_store():
    one, other = pair(10)
    one.put("a", "xxx")
    other.put("b", "xxx")
    one.put("c", "xxx")
    assert one.get("a") == "xxx"
    other.put("d", "xxx")
    assert [key for key, _ in other.items()] == ["d"]
    assert [key for key, _ in one.items()] == ["a", "c"]
    assert one.held + other.held == 9


def test_the_newest_value_stays_even_if_it_alone_is_over_the_limit():
    one, other = pair(10)
    other.put("b", "xxx")
    one.put("a", "x" * 50)
    assert one.get("a") == "x" * 50
    assert other.get("b") is None


def test_a_store_that_is_gone_takes_no_room():
    one, other = pair(10)
    other.put("b", "x" * 8)
    del other
    gc.collect()
    one.put("a", "x" * 8)
    one.put("c", "xx")
    assert len(one) == 2


def test_a_store_of_its_own_keeps_its_own_limit():
    store = BoundedStore(5, len)
    for key in "abc":
        store.put(key, "xx")
    assert [key for key, _ in store.items()] == ["c", "b"]
    store.clear()
    assert (len(store), store.held) == (0, 0)

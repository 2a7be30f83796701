"""Turns are few, in order, yield to clicks, and are given back whatever happens."""

import threading
import time
from contextlib import contextmanager
from itertools import zip_longest

import pytest

from pages.server import turns as module
from pages.server.turns import Turns


def queue(turns, longs, persons=()):
    """Let threads ask for turns one after the other; return the order in which they got them."""
    order, threads = [], []

    def work(i, long, person):
        with turns.turn(long=long, person=person):
            order.append(i)

    for i, (long, person) in enumerate(zip_longest(longs, persons)):
        threads.append(threading.Thread(target=work, args=(i, bool(long), person)))
        threads[-1].start()
        wait_for(lambda n=i + 1: turns.n_waiting == n)
    return order, threads


@contextmanager
def held(turns):
    """Let another thread have a turn."""
    done = threading.Event()

    def hold():
        with turns.turn():
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    wait_for(lambda: turns.n_running == 1)
    yield
    done.set()
    thread.join()


def wait_for(true):
    until = time.monotonic() + 5
    while not true():
        assert time.monotonic() < until
        time.sleep(0.001)


def in_order(longs, persons=()):
    turns = Turns(1)
    with turns.turn():
        order, threads = queue(turns, longs, persons)
    for thread in threads:
        thread.join()
    assert turns.n_waiting == turns.n_running == 0
    return order


def test_no_more_have_a_turn_than_there_are():
    turns, at_once, lock = Turns(2), [], threading.Lock()

    def work():
        with turns.turn():
            with lock:
                at_once.append(turns.n_running)
            time.sleep(0.01)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(at_once) == 2
    assert len(at_once) == 8


def test_who_comes_first_goes_first():
    assert in_order([False] * 5) == [0, 1, 2, 3, 4]


def test_clicks_go_before_a_step_of_a_long_run_that_came_a_little_earlier():
    assert in_order([True, False, False, True]) == [1, 2, 0, 3]


def test_the_tabs_of_one_person_let_others_go_first():
    assert in_order([], ["a", "a", "a", "b", None, "c", "b"]) == [0, 3, 4, 5, 1, 6, 2]


def test_who_works_has_a_place_too_until_it_is_given_back():
    turns = Turns(1)
    with turns.turn(person="a"):
        order, threads = queue(turns, [], ["a", "b"])
    for thread in threads:
        thread.join()
    assert order == [1, 0]
    with turns.turn():
        order, threads = queue(turns, [], ["a", "b"])
    for thread in threads:
        thread.join()
    assert order == [0, 1]


def test_a_long_run_does_not_wait_for_ever(monkeypatch):
    monkeypatch.setattr(module, "YIELDS_S", 0.0)
    assert in_order([True, False]) == [0, 1]


def test_it_is_told_how_many_go_first(monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    turns, told = Turns(1), []
    with held(turns):
        order, threads = queue(turns, [False, False])

        def enough(n_before):
            told.append(n_before)
            if len(told) > 3:
                raise InterruptedError

        with pytest.raises(InterruptedError), turns.turn(on_wait=enough):
            pass
        assert turns.n_waiting == 2
    for thread in threads:
        thread.join()
    assert set(told) == {2}
    assert order == [0, 1]


def test_an_error_gives_the_turn_back():
    turns = Turns(1)
    with pytest.raises(ValueError, match="x"), turns.turn():
        raise ValueError("x")
    with turns.turn(), turns.turn():  # one inside the other is one
        assert turns.n_running == 1
    assert turns.n_running == 0

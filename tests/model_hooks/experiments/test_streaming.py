"""Values come in order and one ahead at the most; errors and the end come through."""

import threading
import time
from contextvars import ContextVar

import pytest

from model_hooks.experiments import streaming
from model_hooks.experiments.streaming import StoppedError, streamed


def test_values_come_in_order_and_the_result_last():
    def work(put):
        for value in "abc":
            put(value)
        return "result"

    assert list(streamed(work)) == ["a", "b", "c", "result"]


def test_an_error_comes_after_what_came_before_it():
    def work(put):
        put("a")
        raise KeyError("lost")

    values = streamed(work)
    assert next(values) == "a"
    with pytest.raises(KeyError, match="lost"):
        next(values)


def test_leaving_ends_the_work_in_its_own_thread():
    ended, done = threading.Event(), []

    def work(put):
        try:
            for value in range(1000):
                put(value)
                done.append(value)
        except StoppedError:
            ended.set()
            raise
        return None

    values = streamed(work)
    assert next(values) == 0
    values.close()
    assert ended.is_set()
    assert len(done) <= 3


def test_work_that_nobody_asks_for_more_gives_up(monkeypatch):
    monkeypatch.setattr(streaming, "PATIENCE_S", 0.1)
    ended = threading.Event()

    def work(put):
        try:
            for value in range(1000):
                put(value)
        except StoppedError:
            ended.set()
            raise

    values = streamed(work)
    next(values)
    assert ended.wait(5)
    values.close()


def test_the_work_sees_the_context_it_was_started_in():
    seen = ContextVar("seen", default="nothing")
    seen.set("mine")
    assert list(streamed(lambda put: seen.get())) == ["mine"]


def test_work_runs_ahead_by_one_value_only():
    done = []

    def work(put):
        for value in range(5):
            put(value)
            done.append(value)

    values = streamed(work)
    next(values)
    time.sleep(0.3)
    assert len(done) <= 2
    values.close()

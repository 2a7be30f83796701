"""One way to ask: kept, computed once for all who ask the same, forgotten in one place."""

import threading
import time

import numpy as np
import pytest

from model_hooks import AblateHead, InlookError
from model_hooks.experiments.continuations import write_texts
from model_hooks.host import Host, Question, Run, name_of, resolve
from model_hooks.read.lens import lens_at
from model_hooks.read.recorded import attention, encode, last_logits, run_length
from pages.ask import computed as asking
from pages.ask.computed import computed, n_bytes, watched


class Counting:
    """Answers as slowly as it is told to, and counts."""

    def __init__(self, seconds=0.0, answer=lambda question: question.key):
        self.asked, self.seconds, self.make = [], seconds, answer

    def answer(self, question):
        self.asked.append(question)
        time.sleep(self.seconds)
        return self.make(question)


@pytest.fixture
def counting():
    def counting(**settings):
        host = Counting(**settings)
        asking.set_host(host)
        return host

    yield counting
    asking.set_host(None)


def ask_at_once(n, ask):
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(n)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - started


def test_eight_who_ask_the_same_at_once_cause_one_call(counting):
    host, ask = counting(seconds=0.2), computed(attention)
    ask_at_once(8, lambda _: ask("m", (1, 2), (), 0, 3))
    assert len(host.asked) == 1


def test_other_questions_run_beside_it(counting):
    host, ask = counting(seconds=0.4), computed(attention)
    seconds = ask_at_once(4, lambda i: ask("m", (1, 2), (), 0, i))
    assert len(host.asked) == 4
    assert seconds < 4 * 0.4 * 0.8


def test_an_answer_is_kept_by_everything_that_it_depends_on(counting):
    host, ask = counting(), computed(attention)
    different = [
        ("m", (1, 2), (), 0, 1),
        ("n", (1, 2), (), 0, 1),
        ("m", (1, 3), (), 0, 1),
        ("m", (1, 2), (AblateHead(0, 0),), 0, 1),
        ("m", (1, 2), (), 1, 1),
    ]
    for _ in range(2):
        for given in different:
            ask(*given)
    computed(last_logits)("m", (1, 2), ())
    assert len(host.asked) == len(different) + 1


def test_a_failure_is_not_kept(counting):
    def fail(question):
        raise InlookError("no")

    host, ask = counting(answer=fail), computed(run_length)
    for _ in range(2):
        with pytest.raises(InlookError):
            ask("m", (1,), ())
    assert len(host.asked) == 2


def test_what_is_not_to_be_kept_is_asked_each_time(counting):
    host, ask = counting(), computed(run_length, keep=False)
    ask("m", (1,), ())
    ask("m", (1,), ())
    assert len(host.asked) == 2


def test_all_answers_share_one_budget_and_the_oldest_go(counting, monkeypatch):
    host = counting(answer=lambda question: np.zeros(asking.KEPT_BYTES // 24))
    ask, other = computed(attention), computed(encode)
    for i in range(5):
        ask("m", (1,), (), i)
    other("m", "text")
    n_asked = len(host.asked)
    ask("m", (1,), (), 4)
    assert len(host.asked) == n_asked
    ask("m", (1,), (), 0)
    assert len(host.asked) == n_asked + 1


def test_an_answer_larger_than_the_budget_is_given_and_not_kept(counting):
    host = counting(answer=lambda question: np.broadcast_to(0.0, asking.KEPT_BYTES // 8 + 9))
    ask = computed(attention)
    assert len(ask("m", (1,), (), 0)) > asking.KEPT_BYTES // 8
    ask("m", (1,), (), 0)
    assert len(host.asked) == 2


def test_everything_is_forgotten_in_one_place(counting):
    host, ask = counting(), computed(attention)
    ask("m", (1,), (), 0)
    asking.forget()
    ask("m", (1,), (), 0)
    assert len(host.asked) == 2


def test_arguments_by_name_are_part_of_the_question(counting):
    host, ask = counting(), computed(attention)
    ask("m", (1,), (), 0, head=1)
    ask("m", (1,), (), 0, head=2)
    assert [dict(question.named) for question in host.asked] == [{"head": 1}, {"head": 2}]


REFUSED = "is no function|takes neither"


@pytest.mark.parametrize(
    "function",
    [lambda model: 1, np.zeros, Host.model, name_of],
    ids=["lambda", "numpy", "method", "neither model nor trace"],
)
def test_only_what_a_host_can_find_may_be_asked(function):
    with pytest.raises(ValueError, match=REFUSED):
        computed(function)


def test_the_host_runs_nothing_but_questions():
    for name in ("os:system", "model_hooks.host:resolve", "model_hooks.loading:load_model"):
        with pytest.raises(ValueError, match=REFUSED):
            resolve(name)


def test_the_size_of_an_answer_counts_what_is_inside():
    arrays = {"a": np.zeros(1000), "b": (np.zeros(500, np.float32), [np.zeros(250, np.int8)])}
    assert 10_250 <= n_bytes(arrays) <= 11_000


@pytest.fixture
def host(hooked):
    return Host(lambda name: hooked)


def test_a_host_answers_as_the_model_itself_does(host, hooked):
    ids = tuple(hooked.encode("the cat sat on the mat"))
    found = host.answer(Question("model_hooks.read.lens:lens_at", Run("any", ids), (2,)))
    np.testing.assert_array_equal(found, lens_at(hooked, hooked.trace(list(ids)), 2))


def test_a_host_runs_under_what_is_switched_off(host, hooked):
    ids = tuple(hooked.encode("the cat sat"))
    run = Run("any", ids, (AblateHead(1, 0),))
    found = host.answer(Question("model_hooks.read.recorded:last_logits", run))
    wanted = hooked.trace(list(ids), [AblateHead(1, 0)]).last_logits
    np.testing.assert_array_equal(found, wanted)
    assert not np.allclose(found, hooked.trace(list(ids)).last_logits)


def test_a_model_is_loaded_once_however_many_ask_at_once(hooked):
    loaded = []

    def slow(name):
        loaded.append(name)
        time.sleep(0.2)
        return hooked

    host = Host(slow)
    ask_at_once(6, lambda i: host.model("ab"[i % 2]))
    assert sorted(loaded) == ["a", "b"]


def test_models_are_kept_by_their_memory_and_the_newest_always(hooked):
    loaded = []
    host = Host(lambda name: loaded.append(name) or hooked, model_bytes=1)
    for name in ("a", "a", "b", "b", "a"):
        host.model(name)
    assert loaded == ["a", "b", "a"]


class StoppedError(BaseException):
    """As Streamlit raises it when the visitor clicks on."""


def test_an_answer_that_grows_is_watched_once_and_its_last_value_is_kept(counting):
    host, ask, seen = counting(answer=lambda _: iter_of(1, 2, 3)), watched(write_texts), []
    assert ask.kept("m", (1,)) is None
    assert ask("m", (1,), on_value=seen.append) == 3
    assert ask("m", (1,), on_value=seen.append) == 3
    assert ask.kept("m", (1,)) == 3
    assert seen == [1, 2, 3]
    assert len(host.asked) == 1


def test_an_answer_that_was_cut_off_is_not_kept_and_its_work_ends(counting):
    ended = []
    counting(answer=lambda _: iter_of(1, 2, 3, at_end=lambda: ended.append(True)))
    ask = watched(write_texts)

    def stop(value):
        if value == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        ask("m", (1,), on_value=stop)
    assert ended == [True]
    assert ask.kept("m", (1,)) is None


def test_an_answer_that_grows_too_large_is_given_and_not_kept(counting, monkeypatch):
    monkeypatch.setattr(asking, "_KEPT", asking.LRUCache(10, n_bytes))
    counting(answer=lambda _: iter_of(np.zeros(100)))
    assert watched(write_texts)("m", (1,), on_value=lambda _: None).shape == (100,)
    assert watched(write_texts).kept("m", (1,)) is None


def iter_of(*values, at_end=lambda: None):
    """Yield some values, and tell when it is over."""
    try:
        yield from values
    finally:
        at_end()


def test_nobody_is_told_to_wait_for_a_small_model_that_was_opened(monkeypatch):
    monkeypatch.setattr(asking, "_SIZES", {})
    assert not asking.is_quick(Run("small", (1, 2)))  # it may have to be loaded first
    asking.note_size("small", 3_000_000)
    asking.note_size("large", 1_000_000_000)
    assert asking.is_quick(Run("small", (1, 2)))
    assert not asking.is_quick(Run("small", (1,) * 1000))
    assert not asking.is_quick(Run("large", (1, 2)))
    assert not asking.is_quick(Run("large", ()))

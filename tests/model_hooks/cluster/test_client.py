"""A client over HTTP gets the host's answers, or one sentence that says why not."""

import threading
import time

import pytest

from model_hooks import Decoding, LayerError, ModelNotFoundError
from model_hooks.cluster import client as module
from model_hooks.cluster import serving, versions
from model_hooks.cluster.client import Client
from model_hooks.cluster.serving import Desk
from model_hooks.errors import (
    HostFailedError,
    TooSlowError,
    UnreachableError,
    VersionsError,
    WrongTokenError,
)
from model_hooks.host import Question, Run
from tests.model_hooks.cluster.conftest import TOKEN, free_port, served

IDS = (1, 2, 3)


def about(function, *key, ids=(), model="tiny"):
    return Question(f"model_hooks.{function}", Run(model, ids), key)


LENGTH = about("read.recorded:run_length", ids=IDS)
WRITING = about("write.writing:write_tokens", IDS, (), Decoding(), 6)


def written(steps):
    return [(step.token_id, step.probability) for step in steps]


class Slow:
    """Answers streams of numbers, one in so many seconds."""

    def __init__(self, seconds=0.0):
        self.seconds, self.made, self.left = seconds, 0, threading.Event()

    def answer(self, question):
        try:
            for i in range(10**6):
                time.sleep(self.seconds)
                self.made = i + 1
                yield i
        finally:
            self.left.set()


def test_answers_and_errors_are_those_of_the_host(llama_host, address):
    far = Client(address, TOKEN)
    assert far.answer(LENGTH) == llama_host.answer(LENGTH) == 3
    assert written(far.answer(WRITING)) == written(llama_host.answer(WRITING))
    with pytest.raises(LayerError) as there:
        far.answer(about("read.recorded:attention", 99, 0, ids=IDS))
    with pytest.raises(LayerError) as here:
        llama_host.answer(about("read.recorded:attention", 99, 0, ids=IDS))
    assert str(there.value) == str(here.value)


def test_what_nobody_may_ask_is_one_sentence(address):
    with pytest.raises(WrongTokenError):
        Client(address, "a guess").answer(LENGTH)
    with pytest.raises(WrongTokenError):
        Client(address, "").answer(LENGTH)
    with pytest.raises(ModelNotFoundError, match="no-such"):
        Client(address, TOKEN).answer(about("read.recorded:info_of", model="no-such"))
    with pytest.raises(HostFailedError):
        Client(address, TOKEN).answer(about("read.saved:save_trace", "/tmp/x", ids=IDS))


def test_a_desk_without_a_token_is_refused(llama_host):
    with pytest.raises(ValueError, match="token"):
        Desk(llama_host, "")


def test_another_version_is_named(address, monkeypatch):
    monkeypatch.setattr(module, "spoken", lambda: "99.0+12345678")
    with pytest.raises(VersionsError, match=r"99\.0") as refused:
        Client(address, TOKEN).answer(LENGTH)
    assert versions.spoken() in str(refused.value)


def test_a_host_that_comes_back_is_asked_again(llama_host, monkeypatch):
    monkeypatch.setattr(module, "GONE_S", 0.2)
    monkeypatch.setattr(module, "FAIL_FAST_S", 0.2)
    port = free_port()
    far = Client(f"http://127.0.0.1:{port}", TOKEN)
    with pytest.raises(UnreachableError):
        far.answer(LENGTH)
    asked = time.monotonic()
    with pytest.raises(UnreachableError):
        far.answer(LENGTH)
    assert time.monotonic() - asked < 0.1, "nobody is made to wait for what has just failed"
    with served(Desk(llama_host, TOKEN), port):
        time.sleep(0.2)
        assert far.answer(LENGTH) == 3


def test_a_stream_that_is_left_ends_its_work(monkeypatch):
    slow = Slow(0.02)
    desk = Desk(slow, TOKEN)
    with served(desk) as address:
        values = Client(address, TOKEN).answer(WRITING)
        assert [next(values), next(values)] == [0, 1]
        values.close()
        assert slow.left.wait(1.0), "it is idle within a second"
        assert slow.made < 60
        assert not desk.status()["waiting"]


def test_who_waits_is_told_how_many_come_before_and_goes_on(llama_host, monkeypatch):
    monkeypatch.setattr(serving, "LOOK_S", 0.02)

    class Held:
        free = threading.Event()

        def answer(self, question):
            if question.key == (True,):
                assert self.free.wait(20)
            return llama_host.answer(LENGTH)

    with served(Desk(Held(), TOKEN)) as address:
        far, told = Client(address, TOKEN), []
        held = about("read.lens:stream_points", True)
        first = threading.Thread(target=far.answer, args=(held,))
        first.start()
        time.sleep(0.2)
        second = threading.Thread(target=far.answer, args=(LENGTH,))
        second.start()
        time.sleep(0.2)

        def on_wait(n_before):
            told.append(n_before)
            if len(told) == 3:
                Held.free.set()

        assert far.answer(LENGTH, "", on_wait) == 3
        assert told[0] == 1, "the one that waits already; the first has its turn"
        for one in (first, second):
            one.join()


def test_who_leaves_while_waiting_gives_up_the_place(monkeypatch):
    monkeypatch.setattr(serving, "LOOK_S", 0.02)
    slow = Slow(0.4)
    desk = Desk(slow, TOKEN)

    def leave(n_before):
        raise KeyboardInterrupt

    with served(desk) as address:
        far = Client(address, TOKEN)
        values = far.answer(WRITING)
        reading = threading.Thread(target=lambda: [next(values) for _ in range(3)])
        reading.start()
        time.sleep(0.1)
        with pytest.raises(KeyboardInterrupt):
            far.answer(WRITING, "", leave)
        reading.join()
        values.close()
        assert slow.left.wait(2.0)
        until = time.monotonic() + 2
        while desk.status()["running"] and time.monotonic() < until:
            time.sleep(0.02)
        assert desk.status()["running"] == desk.status()["waiting"] == 0


def test_one_that_takes_too_long_is_one_sentence(monkeypatch):
    monkeypatch.setattr(serving, "ALIVE_S", 0.05)
    with served(Desk(Slow(0.6), TOKEN)) as address, pytest.raises(TooSlowError, match=r"0\.2"):
        next(Client(address, TOKEN, seconds=0.2).answer(WRITING))


def test_an_error_that_nobody_foresaw_is_one_sentence(caplog):
    class Broken:
        def answer(self, question):
            raise KeyError("a bug")

    with served(Desk(Broken(), TOKEN)) as address, pytest.raises(HostFailedError):
        Client(address, TOKEN).answer(LENGTH)
    assert "a bug" in caplog.text


def test_a_stream_that_breaks_off_goes_on_with_what_is_missing(llama_host):
    breaks = [3]

    class Breaking(Desk):
        async def frames(self, question):
            n = 0
            async for data in super().frames(question):
                yield data
                n += 1
                if breaks and n == breaks[0]:
                    breaks.pop()
                    raise ConnectionError("as if it were killed")

    with served(Breaking(llama_host, TOKEN)) as address:
        assert written(Client(address, TOKEN).answer(WRITING)) == written(
            llama_host.answer(WRITING)
        )
    assert not breaks

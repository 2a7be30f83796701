"""A cluster is asked seldom, and its answers are those of the host."""

import pytest

from model_hooks.cluster.asking import Loopback
from model_hooks.errors import UnreachableError
from model_hooks.host import Host, Question, Run
from model_hooks.read.recorded import each_token, info_of
from pages.ask import far as module
from pages.ask.computed import computed
from pages.ask.far import Far


class Counting:
    """Answers as a client does, and counts."""

    def __init__(self, host):
        self.host, self.asked = host, []

    def answer(self, question, session, on_wait):
        self.asked.append(question)
        if self.host is None:
            raise UnreachableError("gone")
        return self.host.answer(question)


@pytest.fixture
def client(hooked):
    return Counting(Loopback(Host(lambda name: hooked)))


def test_texts_of_tokens_are_fetched_once(client, hooked):
    far, ask = Far(client), computed(each_token)
    n_tokens = hooked.info.vocab_size
    for ids in [(i,) for i in range(n_tokens)] + [(), tuple(range(n_tokens))]:
        question = ask.question(("tiny", ids), {})
        assert far.answer(question) == tuple(each_token(hooked, ids))
    assert len(client.asked) == 1


@pytest.mark.parametrize("ids", [(-1,), (10**30,), (2**20,), (0, -5)])
def test_what_is_no_token_is_asked_as_it_is(client, hooked, ids):
    question = computed(each_token).question(("tiny", ids), {})
    assert Far(client).answer(question) == tuple(each_token(hooked, ids))
    assert client.asked == [question]


def test_facts_are_asked_for_again_after_a_while(client, monkeypatch):
    far, question = Far(client), computed(info_of).question(("tiny",), {})
    facts = far.answer(question)
    assert far.answer(question) == facts
    assert len(client.asked) == 1
    far._facts.clear()
    client.host = None
    with pytest.raises(UnreachableError):
        far.answer(question)
    assert module.FACTS_S <= 3


def test_other_questions_are_asked_as_they_are(client):
    question = Question("model_hooks.read.recorded:run_length", Run("tiny", (1, 2)))
    assert [Far(client).answer(question) for _ in range(2)] == [2, 2]
    assert client.asked == [question, question]

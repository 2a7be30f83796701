"""Nothing gets round what a server allows: not by a run, not by a key, not by a long run."""

import threading
import time
from dataclasses import dataclass

import pytest

from model_hooks import InlookError, ModelNotFoundError, PromptError, load_model, load_tokenizer
from model_hooks.experiments.untrained import UNTRAINED_GPT2, open_model
from model_hooks.host import Question, Run
from model_hooks.opening.allowed import allow_only
from pages.ask.admission import Admission, TimeIsUpError
from pages.server.settings import Settings
from pages.server.turns import Turns

FUNCTION = "model_hooks.read.lens:read_lens"
LISTED = Settings(models=("storyteller",), prompt_tokens=10, new_tokens=5, seconds=1)


class Fake:
    """A host that answers with what it is told to."""

    def __init__(self, answer=1):
        self.given, self.asked = answer, []

    def answer(self, question):
        self.asked.append(question)
        return self.given


def question(name="storyteller", ids=(), key=()):
    return Question(FUNCTION, Run(name, ids), key)


@pytest.fixture
def listed():
    allow_only(["storyteller"])
    yield
    allow_only(None)


@pytest.mark.parametrize("name", ["/etc/passwd", "/tmp", "gpt2", "twin-gqa", "", "./models/x"])
def test_what_is_not_on_the_list_is_refused_alike_and_before_anything_is_looked_for(
    name, listed, monkeypatch
):
    monkeypatch.setattr(
        "model_hooks.loading._found", lambda name, weights: pytest.fail("it was looked for")
    )
    host, said = Fake(), set()
    for ask in (
        lambda: Admission(host, LISTED, Turns()).answer(question(name)),
        lambda: load_model(name or "x"),
        lambda: load_tokenizer(name or "x"),
        lambda: open_model(UNTRAINED_GPT2),
    ):
        with pytest.raises(ModelNotFoundError) as refused:
            ask()
        said.add(str(refused.value))
    assert len(said) == 1
    assert host.asked == []


@dataclass(frozen=True)
class Asked:
    """A key that holds a text."""

    ids: tuple[int, ...]


@pytest.mark.parametrize(
    "asked",
    [
        question(ids=(1,) * 16),
        question(key=((1,) * 16,)),
        question(key=(((1,) * 16, 2),)),
        question(key=("x" * 500,)),
        question(key=(Asked((1,) * 16),)),
    ],
)
def test_a_text_that_is_too_long_is_refused_wherever_it_stands(asked, listed):
    with pytest.raises(PromptError, match="up to 15 tokens"):
        Admission(Fake(), LISTED, Turns()).answer(asked)


def test_what_is_allowed_is_answered(listed):
    allowed = question(ids=(1,) * 15, key=("x" * 200, (1,) * 15, (0.5,) * 40, None))
    assert Admission(Fake(7), LISTED, Turns()).answer(allowed) == 7
    assert Admission(Fake(7), Settings(), Turns()).answer(question("/tmp", (1,) * 9999)) == 7


def test_a_long_run_ends_when_its_time_is_up_and_closes_what_it_ran(listed):
    closed = []

    def values():
        try:
            for i in range(100):
                time.sleep(0.3)
                yield i
        finally:
            closed.append(True)

    got = []
    with pytest.raises(TimeIsUpError, match="1 seconds"):
        got.extend(iter_into(got, Admission(Fake(values()), LISTED, Turns()).answer(question())))
    assert got == [0, 1, 2, 3]
    assert closed == [True]


def iter_into(got, values):
    for value in values:
        got.append(value)
    return []


def test_a_click_is_answered_between_two_steps_of_a_long_run():
    turns, order = Turns(1), []

    def values():
        for i in range(4):
            time.sleep(0.1)
            order.append(f"step {i}")
            yield i

    long = threading.Thread(
        target=lambda: list(Admission(Fake(values()), Settings(), turns).answer(question()))
    )
    long.start()
    while not order:
        time.sleep(0.01)
    Admission(Fake(), Settings(), turns).answer(question())
    order.append("click")
    long.join()
    assert order.index("click") < 4
    assert order[-1] == "step 3"


def test_errors_of_a_host_come_through_and_give_the_turn_back():
    class Broken:
        def answer(self, question):
            raise InlookError("no")

    turns = Turns(1)
    for _ in range(2):
        with pytest.raises(InlookError, match="no"):
            Admission(Broken(), Settings(), turns).answer(question())
    assert turns.n_running == 0

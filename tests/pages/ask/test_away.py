"""The machine with the models is away: one sentence on every page, and nothing is lost."""

import pytest

import app as entry
from model_hooks.cluster.asking import Loopback
from model_hooks.errors import UnreachableError
from model_hooks.host import Host
from pages.ask import computed
from tests.conftest import tiny_llama
from tests.pages.conftest import PROMPT, opened, switched, view_of

PAGES = [place.folder for group in entry.PAGES.values() for place in group if place.has_text]
pytestmark = pytest.mark.parametrize("hooked", [tiny_llama], indirect=True, ids=["llama"])
SENTENCE = "Nobody is there"


class Leaving:
    """Answers so many questions and is away from then on, until it is told to come back."""

    def __init__(self, host, n_answers):
        self.host, self.left, self.deaf_to = host, n_answers, ""

    def answer(self, question):
        if self.left <= 0 or question.function.endswith(f":{self.deaf_to}"):
            raise UnreachableError(SENTENCE)
        self.left -= 1
        return self.host.answer(question)


@pytest.fixture
def leaving(open_with, hooked):
    """Return a function that has the host leave after so many answers."""
    open_with(lambda name: hooked)

    def leaving(n_answers):
        host = Leaving(Loopback(Host(lambda name: hooked)), n_answers)
        computed.set_host(host)
        return host

    return leaving


def sentences(app):
    return [one.value for one in app.error]


def test_a_page_without_models_says_so_once_and_goes_on_when_they_are_back(leaving):
    host = leaving(0)
    app = opened("attention")
    assert not app.exception
    assert sentences(app) == [SENTENCE]
    host.left = 10**6
    app.run()
    assert not app.exception
    assert not app.error
    assert view_of(app).prompt == PROMPT
    assert app.get("bidi_component")


def test_a_text_is_kept_while_nobody_is_there(leaving):
    host = leaving(10**6)
    app = opened("generation")
    app.button(key="text_bar.step").click().run()
    written = view_of(app).written
    host.left = 0
    app.button(key="text_bar.step").click().run()
    assert not app.exception
    assert sentences(app) == [SENTENCE]
    assert view_of(app).written == written
    host.left = 10**6
    app.run()
    app.button(key="text_bar.step").click().run()
    assert not app.exception
    assert len(written) == 1
    assert view_of(app).written[:1] == written
    assert len(view_of(app).written) == 2


def test_a_link_whose_text_cannot_be_written_again_now_is_written_later(leaving):
    host = leaving(10**6)
    host.deaf_to = "write_again"
    app = opened("attention", written="3.4")
    assert not app.exception
    assert sentences(app) == [SENTENCE]
    assert view_of(app).written == (3, 4)
    host.deaf_to = ""
    app.run()
    assert not app.error
    assert not app.exception
    assert view_of(app).written == (3, 4)


@pytest.mark.slow
@pytest.mark.parametrize("n_answers", [0, 1, 3, 5, 8, 13, 21, 34])
@pytest.mark.parametrize("page", PAGES)
def test_no_page_breaks_wherever_the_answers_end(leaving, page, n_answers):
    host = leaving(n_answers)
    app = opened(page)
    assert not app.exception
    host.left = 0
    app = switched(app, page)
    assert not app.exception
    assert host.left > 0 or app.error

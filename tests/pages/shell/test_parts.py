"""A click in the bar draws the text and the page anew, and leaves the rest of the window alone."""

import json

import pytest

from pages.state import visit
from tests.pages.conftest import choose, component_of, opened, switched, view_of


@pytest.fixture
def alone(monkeypatch):
    """Draw parts alone, as the server does; an AppTest then sees what its last run drew."""
    monkeypatch.setattr(visit, "PARTS_ALONE", True)


def tokens_shown(app):
    return json.loads(component_of(app, "text_bar_strip").json)["n_tokens"]


def press(app, name):
    return next(one for one in app.button if one.key == f"text_bar.{name}").click().run()


def test_a_step_draws_the_text_its_length_and_the_page(open_page, alone):
    app = open_page("attention")
    assert not app.exception
    n_tokens, title = tokens_shown(app), app.title[0].value
    assert app.sidebar.selectbox
    app = press(app, "step")
    assert not app.exception
    assert tokens_shown(app) == n_tokens + 1 == len(view_of(app).written) + n_tokens
    assert app.title[0].value == title
    assert any(f"{n_tokens + 1} of" in one.value for one in app.caption)
    assert not app.sidebar.selectbox
    assert not [one for one in app.button if one.key == "text_bar.step"]


@pytest.mark.parametrize("page", ["kv_cache", "lm_head"])
def test_a_page_whose_runs_can_be_stopped_is_drawn_with_the_whole_window(open_page, alone, page):
    app = press(open_page(page), "step")
    assert not app.exception
    assert len(view_of(app).written) == 1
    assert app.title
    assert app.sidebar.selectbox


def test_a_run_draws_the_whole_window(open_page, alone):
    app = open_page("layers", n_per_run=3)
    app = press(app, "run")
    assert not app.exception
    assert len(view_of(app).written) == 3
    assert app.sidebar.selectbox
    assert [one.label for one in app.button if one.key == "text_bar.run"] == ["Run"]


def test_another_page_is_drawn_anew_after_a_step_on_the_first(open_page, alone):
    app = press(open_page("attention"), "step")
    app = switched(app, "layers")
    assert app.sidebar.selectbox
    title = app.title[0].value
    app = press(app, "back")
    assert not app.exception
    assert view_of(app).written == ()
    assert [one.value for one in app.title] == [title]


def test_a_part_of_the_model_that_is_switched_off_in_the_sidebar_draws_the_whole_window(
    open_page, alone
):
    app = open_page("attention")
    next(one for one in app.button if one.key == "switched_off.add").click().run()
    assert not app.exception
    assert len(view_of(app).interventions) == 1
    assert app.title
    assert app.sidebar.selectbox


def test_a_layer_draws_its_own_part_of_the_page_only(open_page, alone):
    app = choose(open_page("layers"), "layer", 1)
    assert view_of(app).layer == 1
    assert not app.exception


def test_a_step_after_a_run_that_was_cut_off_draws_the_whole_window(open_page, alone):
    app = open_page("attention")
    app.session_state["visit.is_whole"] = False  # as after a click while it was being drawn
    app = press(app, "step")
    assert app.sidebar.selectbox
    assert not press(app, "step").sidebar.selectbox


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"prompt": "*eJw"}, "the prompt could not"),
        ({"prompt": "*eJw", "written": "1..2"}, "the prompt and what was written could not"),
        ({"layer": "x", "head": "", "model": "*A"}, "the model and 2 other choices could not"),
        ({"on_the_moon": "1"}, None),
    ],
)
def test_a_damaged_link_is_said_once(tiny_session, link, said):
    app = opened(**link)
    assert not app.exception
    assert [said in one.value for one in app.warning] == ([] if said is None else [True])
    app.run()
    assert not app.exception
    assert not app.warning

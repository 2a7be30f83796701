"""A run that is pinned stays as it is: in the link, beside what changes, and when they swap."""

import html
from dataclasses import replace

import pytest

from model_hooks import AblateHead, Decoding, HookedModel, InlookError, ModelTooLargeError
from pages.ask import computed
from pages.state.link import encode
from pages.state.view import Selection, changed_copy, selection_of, whole_view
from tests.conftest import tiny_llama, with_random_weights
from tests.pages.conftest import PROMPT, opened, view_of

OTHER = "the dog sat on the mat"


@pytest.fixture(scope="module")
def hooked(tokenizer) -> HookedModel:
    """One family is enough here."""
    return HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "tiny")


def press(app, name):
    return next(one for one in app.button if one.key == f"pinning.{name}").click().run()


def texts_of(app):
    found = [one.proto.body for one in app.get("html") if 'class="inlook-pair"' in one.proto.body]
    return html.unescape(found[0]) if found else ""


def test_pin_change_swap_and_unpin(open_page):
    app = press(open_page("layers", written="3.4", temperature="0.5"), "pin")
    first = selection_of(view_of(app))
    assert view_of(app).pinned == first
    assert "the texts are the same" in texts_of(app)
    app.session_state["visit.view"] = view_of(app).__class__(
        prompt=OTHER, pinned=first, interventions=(AblateHead(0, 1),)
    )
    app.run()
    assert not app.exception
    assert "cat" in texts_of(app)
    assert "dog" in texts_of(app)
    second = selection_of(view_of(app))
    app = press(app, "swap")
    assert (selection_of(view_of(app)), view_of(app).pinned) == (first, second)
    again = opened("layers", **app.query_params)
    assert selection_of(view_of(again)) == first
    assert view_of(again).pinned == second
    app = press(app, "unpin")
    assert (selection_of(view_of(app)), view_of(app).pinned) == (first, None)
    assert not texts_of(app)
    assert not app.exception


def test_a_pinned_model_that_is_gone_costs_one_sentence(open_with, hooked):
    def open_model(name):
        if name == "gone":
            raise InlookError("There is no model gone.")
        return hooked

    open_with(open_model)
    app = opened("attention", pinned="model=gone")
    assert not app.exception
    assert [one.value for one in app.warning if "There is no model gone" in one.value]
    assert app.title[0].value == "Attention"
    assert not app.error


def test_a_damaged_pin_costs_one_sentence(open_page):
    app = open_page("layers", pinned="temperature=-1")
    assert not app.exception
    assert view_of(app).pinned is None
    assert [one.value for one in app.warning if "the pinned run A" in one.value]


def test_what_cannot_be_run_in_a_is_said(open_page):
    broken = Selection(prompt=PROMPT, interventions=(AblateHead(50, 0),), decoding=Decoding())
    app = open_page("layers")
    app.session_state["visit.view"] = view_of(app).__class__(prompt=PROMPT, pinned=broken)
    app.run()
    assert not app.exception
    assert len([one for one in app.warning if "The pinned run A cannot be shown" in one.value]) == 1


@pytest.mark.parametrize("prompt", ["", "the " * 500], ids=["empty", "long"])
def test_a_prompt_of_b_that_cannot_be_run_is_said_by_the_page(open_page, prompt):
    told = encode(changed_copy(whole_view()(), {"pinned": Selection(prompt=PROMPT)}))
    app = open_page("layers", prompt=prompt, pinned=told["pinned"])
    assert not app.exception
    assert app.title[0].value == "Layers"
    assert not app.warning


def test_two_models_that_memory_cannot_hold_at_once_are_not_loaded_in_turns(
    open_with, hooked, monkeypatch
):
    opened_models = []

    def open_model(name):
        if next(computed.host().host.names(), name) != name:
            raise ModelTooLargeError(f"{name} does not fit.")
        opened_models.append(name)
        return HookedModel.wrap(with_random_weights(tiny_llama), hooked.tokenizer, name)

    monkeypatch.setattr("model_hooks.shelf.WORTH_DROPPING", 0.0)
    open_with(open_model)
    told = encode(changed_copy(whole_view()(), {"pinned": Selection(model="other", prompt=PROMPT)}))
    app = opened("layers", pinned=told["pinned"], prompt=PROMPT)
    for pos in range(3):
        app.session_state["visit.view"] = replace(view_of(app), pos=pos)
        app.run()
    assert not app.exception
    assert [one for one in app.warning if "other does not fit" in one.value]
    assert len(opened_models) <= 3

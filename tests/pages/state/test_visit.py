"""What a visitor sees: how it changes, what follows what, and when the address is believed."""

from dataclasses import dataclass

import pytest
from streamlit.testing.v1 import AppTest

from pages.state.view import View, changed_copy, of_page, value_of, whole_view

SCRIPT = """
import streamlit as st
from pages.state.view import whole_view
from pages.state.visit import begin, link, put, view

begin(whole_view(), "attention")
for changes in st.session_state.get("todo", []):
    put(**changes)
st.session_state["todo"] = []
st.session_state["link"] = link(layer=7)
"""


@pytest.fixture
def visit():
    def visit(**address):
        app = AppTest.from_string(SCRIPT, default_timeout=20)
        for name, text in address.items():
            app.query_params[name] = text
        app.run()
        assert not app.exception
        return app

    return visit


def after(app, **changes):
    """What the visitor sees after a change."""
    app.session_state["todo"] = [changes]
    app.run()
    assert not app.exception
    return app.session_state["visit.view"]


def test_a_new_session_follows_the_address(visit):
    seen = visit(layer="3", head="mean", temperature="0.5").session_state["visit.view"]
    assert (seen.layer, seen.head, seen.decoding.temperature) == (3, None, 0.5)


def test_a_session_goes_on_with_what_it_has_whatever_the_address_says(visit):
    app = visit(layer="3")
    app.query_params["layer"] = "1"
    app.run()
    assert app.session_state["visit.view"].layer == 3
    assert app.query_params["layer"] == "3"


def test_a_change_is_in_the_address(visit):
    app = visit()
    after(app, layer=2, head=None)
    assert app.query_params == {"layer": "2", "head": "mean"}
    after(app, layer=4)
    assert app.query_params == {"head": "mean"}


def test_another_prompt_begins_a_new_text_and_keeps_the_layer(visit):
    app = visit(layer="2", written="1.2.3")
    seen = after(app, prompt="Hello")
    assert (seen.written, seen.layer) == ((), 2)


def test_another_model_begins_a_new_text_too(visit):
    assert after(visit(written="1.2.3"), model="other").written == ()


def test_text_and_prompt_that_change_together_are_both_taken(visit):
    assert after(visit(), prompt="Hello", written=(5,)).written == (5,)


def test_what_is_told_stays_though_what_it_belongs_to_changes(visit):
    app = visit(written="1.2.3")
    assert after(app, prompt="Hello", written=(1, 2, 3)).written == (1, 2, 3)


def test_a_model_gets_back_what_was_chosen_for_it(visit):
    app = visit(layer="5", watched="7.8")
    assert after(app, model="small").layer == 5
    assert after(app, watched=(1,)).watched == (1,)
    assert after(app, layer=1).layer == 1
    seen = after(app, model="storyteller")
    assert (seen.layer, seen.watched) == (5, (7, 8))
    seen = after(app, model="small")
    assert (seen.layer, seen.watched) == (1, (1,))


def test_what_is_switched_off_belongs_to_its_model(visit):
    app = visit(interventions="ablate_head,1,2~")
    assert after(app, model="small").interventions == ()
    assert len(after(app, model="storyteller").interventions) == 1


def test_a_value_that_checks_itself_is_refused(visit):
    app = visit()
    app.session_state["todo"] = [{"decoding.temperature": -1.0}]
    app.run()
    assert "temperature" in app.exception[0].message
    assert app.session_state["visit.view"].decoding.temperature == 1.0


def test_a_link_to_elsewhere_says_what_it_changes(visit):
    told = visit(head="2").session_state["link"]
    assert told == {"layer": "7", "head": "2", "set": "layer"}


def test_a_link_from_another_page_changes_only_what_it_names(visit):
    app = visit(layer="3", head="2")
    app.session_state["visit.page"] = "layers"
    app.query_params.clear()
    for name, text in {"layer": "7", "head": "5", "set": "layer"}.items():
        app.query_params[name] = text
    app.run()
    seen = app.session_state["visit.view"]
    assert (seen.layer, seen.head) == (7, 2)


def test_a_page_adds_its_part_to_the_view():
    @of_page("a_page_of_this_test")
    @dataclass(frozen=True)
    class Choices:
        step: int = 4

    whole = whole_view()()
    assert isinstance(whole, View)
    changed = changed_copy(whole, {"a_page_of_this_test.step": 5, "layer": 1})
    assert value_of(changed, "a_page_of_this_test.step") == 5
    assert value_of(whole, "a_page_of_this_test.step") == 4


def test_a_model_with_a_first_look_of_its_own_has_it_unless_something_was_chosen(visit):
    seen = after(visit(), model="SmolLM2-135M-Instruct")
    assert (seen.layer, seen.head) == (18, 6)
    seen = after(visit(layer="2"), model="SmolLM2-135M-Instruct")
    assert (seen.layer, seen.head) == (2, 6)

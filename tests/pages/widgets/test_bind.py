"""Bound widgets without a browser: what they show, report and replace."""

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import choose, view_of, widget

SCRIPT = """
import streamlit as st
from tests.browser.binding.demo_view import View
from pages.state.visit import begin, put, view
from pages.widgets.bind import bind

begin(View, "one")
got = {
    "layer": bind(st.selectbox, "Layer", "layer", options=range(st.session_state.get("n", 12))),
    "head": bind(st.segmented_control, "Head", "head", options=[None, 0, 1, 2], required=True,
                 format_func=lambda head: "Mean" if head is None else f"H{head}"),
    "temperature": bind(st.slider, "T", "temperature", min_value=0.1, max_value=2.0, step=0.05),
    "top_p": bind(st.slider, "P", "top_p", min_value=0.05, max_value=1.0, none_is=1.0),
    "watched": bind(st.multiselect, "W", "three.watched", options=["cat", "dog", "a~b"]),
    "size": bind(st.radio, "S", "three.size", options=["S", "M"], keeps=True),
    "preset": bind(st.selectbox, "Try", "prompt", options=["x", "y"], blank=True, slot="preset"),
    "step": bind(st.number_input, "Step", "two.step", min_value=0, max_value=9),
}
st.button("Reset", on_click=lambda: put(temperature=1.0, layer=0))
st.session_state["got"] = got
"""


@pytest.fixture
def start():
    def start(**address):
        app = AppTest.from_string(SCRIPT, default_timeout=20)
        for name, text in address.items():
            app.query_params[name.replace("__", ".")] = text
        return app.run()

    return start


def test_a_link_sets_the_widgets_and_what_the_script_uses(start):
    app = start(head="~", temperature="0.5", three__watched="dog~cat~")
    assert not app.exception
    assert app.session_state["got"]["head"] is None
    assert widget(app, "temperature").value == 0.5
    assert app.session_state["got"]["watched"] == ("dog", "cat")


def test_a_widget_changes_the_view_and_the_link(start):
    app = choose(start(), "temperature", 0.7)
    assert view_of(app).temperature == 0.7
    assert app.query_params["temperature"] == "0.7"
    choose(app, "head", "Mean")
    assert view_of(app).head is None


def test_a_program_changes_the_widget_by_making_it_anew(start):
    app = choose(start(), "temperature", 0.7)
    before = widget(app, "temperature").key
    app.button[0].click().run()
    assert widget(app, "temperature").key != before
    assert widget(app, "temperature").value == 1.0
    assert view_of(app).temperature == 1.0
    app.run()  # a late report of the widget that was replaced is no click
    assert view_of(app).temperature == 1.0


def test_a_value_out_of_reach_is_pulled_to_the_nearest(start):
    app = start(layer="99", temperature="-3")
    assert not app.exception
    assert (view_of(app).layer, view_of(app).temperature) == (11, 0.1)
    app.session_state["n"] = 4
    app.run()
    assert view_of(app).layer == 3


def test_the_end_of_a_slider_stands_for_none(start):
    app = choose(start(top_p="0.5"), "top_p", 1.0)
    assert view_of(app).top_p is None
    assert app.session_state["got"]["top_p"] is None


def test_a_value_that_is_only_hidden_here_is_kept(start):
    app = start(three__size="L")
    assert view_of(app).three.size == "L"
    assert app.session_state["got"]["size"] == "S"


def test_a_list_of_things_to_try_is_blank_for_anything_else(start):
    app = start(prompt="something of my own")
    assert widget(app, "prompt", "preset").value is None
    assert view_of(app).prompt == "something of my own"
    choose(app, "prompt", "y", "preset")
    assert view_of(app).prompt == "y"


def test_no_choice_is_taken_for_a_choice(start):
    app = start(head="2")
    widget(app, "head").set_value(None)
    app.run()
    assert not app.exception
    assert view_of(app).head == 2
    assert app.session_state["got"]["head"] == 2


def lose_the_key():
    """Draw a widget, lose its state, as a run that ends late may do to the next one's."""
    import streamlit as st

    from pages.state.visit import begin
    from pages.widgets import bind
    from tests.browser.binding.demo_view import View

    begin(View, "one")
    bind.bind(st.slider, "Layer", "layer", min_value=0, max_value=9)
    if st.session_state.get("lose"):
        del st.session_state["one.layer.slider.0"]
        for n in (0, 99):
            bind._take("one.layer.slider", n, "layer", int)


def test_a_callback_without_its_key_does_nothing():
    app = AppTest.from_function(lose_the_key).run()
    app.session_state["lose"] = True
    assert not app.run().exception
    assert view_of(app).layer == 0

"""The ready-made controls: bound to the view, within what the model has."""

import pytest
from streamlit.testing.v1 import AppTest

from model_hooks.write.decoding import OPTIONS
from tests.pages.conftest import choose, view_of, widget


def page(n_layers, n_heads, n_tokens):
    """Draw all controls for a model of the given size: the body of a small app."""
    from types import SimpleNamespace

    import streamlit as st

    from pages.state.view import whole_view
    from pages.state.visit import begin
    from pages.widgets import controls

    begin(whole_view(), "page")
    info = SimpleNamespace(
        n_layers=n_layers,
        n_heads=n_heads,
        vocab_size=100,
        attention_layers=tuple(range(n_layers)),
    )
    draw = {name: getattr(of, "__wrapped__", of) for name, of in vars(controls).items()}
    draw["_option_control"] = controls._option_control
    st.session_state["got"] = {
        "layer": draw["pick_layer"](info),
        "head": draw["pick_head"](info, mean=True),
        "pos": controls.pick_position(["the"] * n_tokens),
        "decoding": draw["decoding_controls"](info),
        "use_cache": controls.cache_control(),
    }


def controls(*, n_layers=2, n_heads=2, n_tokens=3, **link):
    app = AppTest.from_function(page, args=(n_layers, n_heads, n_tokens), default_timeout=30)
    for name, value in link.items():
        app.query_params[name] = str(value)
    app.run()
    assert not app.exception
    return app


@pytest.mark.parametrize(("n_layers", "n_heads"), [(1, 1), (2, 4), (12, 12), (48, 64)])
def test_link_beyond_the_model_is_clamped(n_layers, n_heads):
    app = controls(n_layers=n_layers, n_heads=n_heads, layer=99, head=99, pos=99)
    got = app.session_state["got"]
    assert (got["layer"], got["head"], got["pos"]) == (n_layers - 1, n_heads - 1, 2)
    assert app.query_params["pos"] == "2"


def test_link_sets_every_decoding_option():
    link = {
        "strategy": "sample",
        "temperature": 0.7,
        "top_k": 5,
        "top_p": 0.9,
        "min_p": 0.05,
        "repetition_penalty": 1.2,
        "seed": 7,
    }
    app = controls(**link, use_cache=False)
    decoding = app.session_state["got"]["decoding"]
    assert {name: getattr(decoding, name) for name in link} == link
    assert app.session_state["got"]["use_cache"] is False


@pytest.mark.parametrize("option", [option.name for option in OPTIONS])
def test_every_option_has_a_control_that_changes_it(option):
    app = controls(strategy="sample")
    control = widget(app, f"decoding.{option}")
    before = control.value
    low, high = control.min, control.max
    other = high if before != high else low
    choose(app, f"decoding.{option}", other)
    assert not app.exception
    changed = getattr(view_of(app).decoding, option)
    assert changed is None or changed == other
    assert changed != getattr(controls().session_state["got"]["decoding"], option)


@pytest.mark.parametrize(
    ("option", "value"),
    [("temperature", 0), ("temperature", 1e30), ("top_k", 10**9), ("top_p", 0), ("min_p", 7)],
)
def test_nonsense_in_a_link_is_clamped(option, value):
    controls(strategy="sample", **{option: value})


def test_choice_is_remembered_and_written_to_the_address():
    app = controls()
    choose(app, "layer", 1)
    choose(app, "head", "Mean")
    choose(app, "pos", "0: the")
    got = app.session_state["got"]
    assert (got["layer"], got["head"], got["pos"]) == (1, None, 0)
    assert app.query_params == {"layer": "1", "head": "mean", "pos": "0"}


def test_last_token_is_chosen_at_first():
    assert controls(n_tokens=5).session_state["got"]["pos"] == 4


def test_options_of_sampling_are_disabled_when_greedy():
    app = controls()
    assert widget(app, "decoding.temperature").disabled
    assert not widget(app, "decoding.repetition_penalty").disabled
    choose(app, "decoding.strategy", "Sample")
    assert not widget(app, "decoding.temperature").disabled


def test_zero_top_k_means_off():
    app = choose(controls(strategy="sample", top_k=5), "decoding.top_k", 0)
    assert app.session_state["got"]["decoding"].top_k is None

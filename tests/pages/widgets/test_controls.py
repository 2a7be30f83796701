"""The ready-made widgets: bound to the selection, clamped to the model."""

import pytest
from streamlit.testing.v1 import AppTest


def page(n_layers, n_heads, n_tokens):
    """Draw all controls for a model of the given size: the body of a small app."""
    from types import SimpleNamespace

    import streamlit as st

    from pages.state import selection
    from pages.widgets import controls

    selection.follow_link()
    info = SimpleNamespace(
        n_layers=n_layers,
        n_heads=n_heads,
        vocab_size=100,
        attention_layers=tuple(range(n_layers)),
    )
    st.session_state["got"] = {
        "layer": controls.pick_layer(info, key="layer"),
        "head": controls.pick_head(info, key="head", mean=True),
        "pos": controls.pick_position(["the"] * n_tokens, key="pos"),
        "decoding": controls.decoding_controls(info, key="decoding"),
        "use_cache": controls.cache_control(key="use_cache"),
    }


def controls(*, n_layers=2, n_heads=2, n_tokens=3, **link):
    app = AppTest.from_function(page, args=(n_layers, n_heads, n_tokens), default_timeout=30)
    for name, value in link.items():
        app.query_params[name] = str(value)
    app.run()
    assert not app.exception
    return app


def stale(field):
    """Report a label of an older prompt, as a browser does whose options have changed."""
    import streamlit as st

    from pages.state import selection
    from pages.widgets import controls

    selection.select(**{field: 1})
    st.session_state["widget"] = "9: ·little"
    controls._store(field, "widget")
    st.session_state["got"] = getattr(selection.selection(), field), controls.number_of("widget")


@pytest.mark.parametrize("field", ["pos", "layer", "head"])
def test_label_that_is_offered_no_more_changes_nothing(field):
    app = AppTest.from_function(stale, args=(field,)).run()
    assert not app.exception
    assert app.session_state["got"] == (1, None)


@pytest.mark.parametrize(("n_layers", "n_heads"), [(1, 1), (2, 4), (12, 12), (48, 64)])
def test_link_beyond_the_model_is_clamped(n_layers, n_heads):
    app = controls(n_layers=n_layers, n_heads=n_heads, layer=99, head=99, pos=99)
    got = app.session_state["got"]
    assert (got["layer"], got["head"], got["pos"]) == (n_layers - 1, n_heads - 1, 2)
    assert app.query_params["pos"] == "2"


def test_link_sets_every_decoding_option():
    link = {
        "strategy": "sample", "temperature": 0.7, "top_k": 5, "top_p": 0.9, "min_p": 0.05,
        "repetition_penalty": 1.2, "seed": 7,
    }  # fmt: skip
    app = controls(**link, use_cache=False)
    decoding = app.session_state["got"]["decoding"]
    assert {name: getattr(decoding, name) for name in link} == link
    assert app.session_state["got"]["use_cache"] is False


@pytest.mark.parametrize(
    ("option", "value"),
    [("temperature", 0), ("temperature", 1e30), ("top_k", 10**9), ("top_p", 0), ("min_p", 7)],
)
def test_nonsense_in_a_link_is_clamped(option, value):
    controls(strategy="sample", **{option: value})


def test_choice_is_remembered_and_written_to_the_address():
    app = controls()
    app.segmented_control(key="layer").set_value(1).run()
    app.segmented_control(key="head").set_value(None).run()
    app.selectbox(key="pos").set_value(0).run()
    got = app.session_state["got"]
    assert (got["layer"], got["head"], got["pos"]) == (1, None, 0)
    assert app.query_params == {"layer": "1", "head": "mean", "pos": "0"}


def test_last_token_is_chosen_at_first():
    assert controls(n_tokens=5).session_state["got"]["pos"] == 4


def test_options_of_sampling_are_disabled_when_greedy():
    app = controls()
    assert app.slider(key="decoding.temperature").disabled
    app.segmented_control(key="decoding.strategy").set_value("sample").run()
    assert not app.slider(key="decoding.temperature").disabled


def test_zero_top_k_means_off():
    app = controls(strategy="sample", top_k=5)
    app.number_input(key="decoding.top_k").set_value(0).run()
    assert app.session_state["got"]["decoding"].top_k is None


@pytest.mark.parametrize(("key", "field"), [("decoding.strategy", "strategy"), ("layer", "layer")])
def test_browser_that_reports_no_choice_gets_the_selection_again(key, field):
    app = controls(strategy="sample", layer=1)
    app.segmented_control(key=key).set_value(None).run()
    assert not app.exception
    got = app.session_state["got"]
    assert (got["decoding"].strategy, got["layer"]) == ("sample", 1)
    assert app.query_params[field] == {"strategy": "sample", "layer": "1"}[field]

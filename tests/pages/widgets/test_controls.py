"""The ready-made controls: bound to the view, within what the model has."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from model_hooks.write.decoding import OPTIONS, Decoding
from model_hooks.write.rules import Rules
from model_hooks.write.stages import Stage
from pages.widgets import controls as controls_module
from tests.pages.conftest import choose, view_of, widget


def page(n_layers, n_heads, n_tokens, settings):
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
        generation_settings=settings,
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


def controls(*, n_layers=2, n_heads=2, n_tokens=3, settings=(), **link):
    sizes = n_layers, n_heads, n_tokens
    app = AppTest.from_function(page, args=(*sizes, settings), default_timeout=30)
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
        "no_repeat_ngram_size": 3,
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


def test_no_option_is_dead_when_greedy_and_whoever_moves_one_samples():
    app = controls()
    choose(app, "decoding.repetition_penalty", 1.2)
    assert view_of(app).decoding.strategy == "greedy"
    choose(app, "decoding.temperature", 1.5)
    assert view_of(app).decoding == Decoding("sample", temperature=1.5, repetition_penalty=1.2)
    choose(app, "decoding.strategy", "Greedy")
    app.button(key="decoding.sample").click().run()
    assert view_of(app).decoding.strategy == "sample"
    assert "decoding.sample" not in [one.key for one in app.button]


def test_what_sampling_would_do_is_told_with_the_number_of_the_last_stage(monkeypatch):
    monkeypatch.setattr(controls_module, "token_name", "token {}".format)
    scores = np.log(np.array([0.25, 0.5, 0.25], np.float32))
    told = controls_module.what_sampling_does([Stage("temperature", scores)])
    assert "**token 1**" in told
    assert "**50.0%**" in told
    assert "2.83 tokens" in told  # 2 ** 1.5 bits


def test_zero_top_k_means_off():
    app = choose(controls(strategy="sample", top_k=5), "decoding.top_k", 0)
    assert app.session_state["got"]["decoding"].top_k is None


OWN = (("do_sample", True), ("num_beams", 4), ("repetition_penalty", 1.1), ("top_k", 20))


def test_what_the_models_own_settings_ask_for_is_told_and_one_click_away():
    app = controls(settings=OWN, seed=5)
    (told,) = [one.value for one in app.caption]
    assert "asks for sampling, repetition penalty 1.1, top-k 20, which is not what is set" in told
    assert "does not do: `num_beams` `4`." in told
    app = app.button(key="decoding.own").click().run()
    assert not app.exception
    decoding = view_of(app).decoding
    assert decoding == Decoding("sample", top_k=20, repetition_penalty=1.1, seed=5)
    assert widget(app, "decoding.top_k").value == 20
    (told,) = [one.value for one in app.caption]
    assert "`num_beams`" in told
    assert "not what is set" not in told
    assert "These are the options" in told
    app = app.button(key="decoding.plain").click().run()
    assert view_of(app).decoding == Decoding(seed=5)
    assert app.button(key="decoding.own")
    assert not app.exception


def test_rules_are_told_kept_in_the_link_and_can_be_lifted():
    words = ((3, 4), (7,))
    app = controls(settings=(("bad_words_ids", words), ("suppress_tokens", (1, 2, 5))))
    app = app.button(key="decoding.own").click().run()
    rules = Rules(bad_words_ids=words, suppress_tokens=(1, 2, 5))
    assert view_of(app).decoding.rules == rules
    (told,) = [one.value for one in app.caption]
    assert told.endswith("are on: 3 tokens never picked, 2 sequences never completed.")
    assert view_of(controls(**app.query_params)).decoding.rules == rules
    app = app.button(key="decoding.lift").click().run()
    assert view_of(app).decoding == Decoding()


def test_a_model_without_settings_of_its_own_gets_no_note():
    app = controls()
    assert not app.caption
    assert [one.key for one in app.button] == ["decoding.sample"]

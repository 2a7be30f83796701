"""What the tests of this page press and read on it."""

import functools
import itertools
import json

import streamlit as st
import torch

from model_hooks.experiments import race as experiment
from pages.state.link import encode
from pages.state.view import View
from tests.pages.charts import drawn, numbers
from tests.pages.conftest import (
    choose,
    component_of,
)

TEXT = "the cat sat on the mat"
WORDS = "w11 w12 w13 w14 w15 w16 w17 w18 w19"


N_PROMPT = 6


def press(app, name):
    return app.button(key=f"kv_cache.{name}").click().run()


def open_tab(open_page, tab, **link):
    return open_page("kv_cache", kv_cache__tab=tab, **link)


def said(app):
    elements = (*app.markdown, *app.caption, *app.info, *app.warning, *app.error)
    return "\n".join(element.value for element in elements) + "\n".join(tables(app))


def tables(app):
    return [element.proto.body for element in app.get("html")]


def chart(app, axis):
    """The chart with this title on its first x axis."""
    figures = [chart.figure for chart in drawn(app)]
    return next(
        spec for spec in figures if spec["layout"]["xaxis"].get("title", {}).get("text") == axis
    )


def strip(app):
    return json.loads(component_of(app, "kv_cache.tokens").json)


def greedy(hooked, n):
    ids = torch.tensor([hooked.encode(TEXT)])
    output = hooked.model.generate(
        ids, max_new_tokens=n, min_new_tokens=n, do_sample=False, pad_token_id=0
    )
    return tuple(output[0, N_PROMPT:].tolist())


def kept(app, name):
    return app.session_state["kept"][f"kept.kv_cache.{name}"]


def taken(app):
    """The runs of this visitor."""
    return kept(app, "taken").pair


def written(app):
    return tuple(step.token_id for step in taken(app).on.steps)


def change_race(monkeypatch, change):
    """Let something happen to what a race yields."""
    run = experiment.race

    @functools.wraps(run)
    def changed(*asked):
        return change(run(*asked))

    monkeypatch.setattr(experiment, "race", changed)


def link_of(*interventions):
    return encode(View(interventions=interventions))["interventions"]


def cache_of(hooked, ids):
    """transformers' own cache after some tokens."""
    with torch.no_grad():
        return hooked.model(torch.tensor([ids]), use_cache=True).past_key_values


def labels(app):
    """What the rows of the drawn vectors are called."""
    return chart(app, "dimension")["layout"]["yaxis"]["ticktext"]


def most_probable(logits):
    """The probabilities that are drawn of logits: those of the most probable tokens."""
    return sorted(torch.softmax(logits.double(), -1).tolist())


def drawn_after(app):
    return sorted(numbers(chart(app, "probability")["data"][1]["x"]).tolist())


def cut_off_race(open_page, monkeypatch):
    """Open the page and let a race of three tokens end after two, as by Streamlit's own Stop."""

    def cut_off(races):
        yield from itertools.islice(races, 2)
        st.stop()

    app = open_page("kv_cache")
    choose(app, "kv_cache.n_tokens", 3)
    choose(app, "kv_cache.n_rounds", 1)
    with monkeypatch.context() as patch:
        change_race(patch, cut_off)
        return press(app, "run")

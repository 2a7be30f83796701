"""Two runs on the LM head page: nothing between a run and itself, one scale, signs that flip."""

import numpy as np
import pytest

from model_hooks import Decoding, HookedModel
from pages.lm_head.page import SECTIONS
from pages.state.view import Selection
from pages.widgets.choices_apart import distances
from tests.conftest import tiny_llama, with_random_weights
from tests.pages.charts import numbers
from tests.pages.conftest import PROMPT
from tests.pages.pairs import charts_of, opened_with, said
from tests.tiny_models import build, tiny_tokenizer

OTHER = "the dog sat on the mat"


@pytest.fixture(scope="module")
def hooked(tokenizer) -> HookedModel:
    """One family is enough for a page."""
    return HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "tiny")


def bars(app):
    before, after = charts_of(app)["inlook-lm-head-pair"].figure["data"]
    return numbers(before["x"]), numbers(after["x"])


def test_a_run_against_itself_is_nothing_apart(tiny_session):
    app = opened_with("lm_head", Selection(prompt=PROMPT), lm_head__tab="surprisal")
    assert not app.exception
    before, after = bars(app)
    assert (before == after).all()
    assert "KL(A||B) **0 bits**" in said(app)
    assert "They are nowhere apart." in said(app)
    for line in charts_of(app)["inlook-lm-head-along"].figure["data"]:
        assert not numbers(line["y"]).any()


def test_two_prompts_are_drawn_on_one_scale_and_swap(tiny_session, hooked):
    there = opened_with("lm_head", Selection(prompt=PROMPT), prompt=OTHER)
    back = opened_with("lm_head", Selection(prompt=OTHER), prompt=PROMPT)
    assert not there.exception
    assert not back.exception
    (a, b), (b_again, a_again) = bars(there), bars(back)
    assert (a, b) == (pytest.approx(a_again), pytest.approx(b_again))
    drawn = charts_of(there)
    pair = [drawn[f"inlook-lm-head-candidates{end}"].figure for end in ("-a", "")]
    assert pair[0]["layout"]["xaxis"]["range"] == pair[1]["layout"]["xaxis"]["range"]
    assert pair[0]["data"] != pair[1]["data"]


def test_a_temperature_alone_moves_the_choice(tiny_session):
    greedy = Selection(prompt=PROMPT, decoding=Decoding())
    app = opened_with("lm_head", greedy, strategy="sample", temperature=1.5)
    assert not app.exception
    before, after = bars(app)
    assert (before != after).any()


def test_other_vocabularies_are_shown_side_by_side_with_one_sentence(open_with, hooked):
    stranger = HookedModel.wrap(build("gpt2", n_head=1, n_layer=1), tiny_tokenizer(), "gpt2")
    open_with(lambda name: stranger if name == "other" else hooked)
    pinned = Selection(model="other", prompt="w1 w2 w3")
    app = opened_with("lm_head", pinned, lm_head__tab="surprisal")
    assert not app.exception
    assert said(app).count("A and B have different vocabularies") == 2
    assert {"inlook-lm-head-candidates-a", "inlook-lm-head-candidates"} <= {*charts_of(app)}


@pytest.mark.slow
def test_every_tab_is_drawn_with_a_pair(tiny_session):
    pinned = Selection(prompt=OTHER, written=(4,))
    for tab in SECTIONS:
        app = opened_with("lm_head", pinned, lm_head__tab=tab, pos=1)
        assert not app.exception
        assert not app.error


def test_what_is_ruled_out_costs_without_end():
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.0, 1.0, 0.0])
    found = distances(p, q)
    assert found.kl_ab == np.inf
    assert found.kl_ba == pytest.approx(1.0)
    assert found.total_variation == 0.5

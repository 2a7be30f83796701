"""Two runs on the Attention page: one head of each, what lies between, and which differ most."""

import numpy as np
import pytest

from model_hooks import HookedModel
from pages.state.view import Selection
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


def difference(app):
    return numbers(charts_of(app)["inlook-attention-difference"].figure["data"][0]["z"])


def test_a_run_against_itself_has_no_difference(tiny_session):
    app = opened_with("attention", Selection(prompt=PROMPT), layer=1, head=0)
    assert not app.exception
    assert not np.nan_to_num(difference(app)).any()
    bars = charts_of(app)["inlook-attention-heads-apart"].figure["data"][0]
    assert not numbers(bars["x"]).any()
    one, other = (charts_of(app)[f"inlook-attention-matrix{end}"].figure for end in ("-a", ""))
    assert one == other


@pytest.mark.parametrize(
    "tab",
    ["several", *(pytest.param(tab, marks=pytest.mark.slow) for tab in ("arithmetic", "ablation"))],
)
def test_two_prompts_are_subtracted_as_the_model_reads_them(tiny_session, hooked, tab):
    app = opened_with(
        "attention", Selection(prompt=OTHER), layer=1, head=1, attention__tab=tab, pos=3
    )
    assert not app.exception
    assert not app.error
    b, a = (hooked.trace(prompt).attention(1, 1) for prompt in (PROMPT, OTHER))
    assert np.nan_to_num(difference(app)) == pytest.approx(b - a, abs=1e-6)
    back = opened_with("attention", Selection(prompt=PROMPT), layer=1, head=1, prompt=OTHER)
    assert np.nan_to_num(difference(back)) == pytest.approx(a - b, abs=1e-6)


def test_a_head_of_a_may_stand_beside_another_one_of_b(tiny_session, hooked):
    link = {"layer": 1, "head": 1, "attention__head_of_a": "0.0"}
    app = opened_with("attention", Selection(prompt=PROMPT), **link)
    assert not app.exception
    trace = hooked.trace(PROMPT)
    expected = trace.attention(1, 1) - trace.attention(0, 0)
    assert np.nan_to_num(difference(app)) == pytest.approx(expected, abs=1e-6)


def test_other_heads_say_why_they_are_not_subtracted(open_with, hooked):
    stranger = HookedModel.wrap(build("gpt2", n_head=1, n_layer=1), tiny_tokenizer(), "gpt2")
    open_with(lambda name: stranger if name == "other" else hooked)
    app = opened_with("attention", Selection(model="other", prompt="w1 w2 w3"), layer=1, head=1)
    assert not app.exception
    assert "no head of one stands for one of the other" in said(app)
    assert "inlook-attention-matrix-a" in charts_of(app)


def test_of_long_texts_a_window_is_subtracted(tiny_session, hooked, monkeypatch):
    monkeypatch.setattr("pages.attention.between.WHOLE_UP_TO", 4)
    monkeypatch.setattr("pages.attention.between.MOST_PLACES", 3)
    app = opened_with("attention", Selection(prompt=OTHER), layer=1, head=1, pos=3)
    assert not app.exception
    assert "the 3 places that are shown" in said(app)
    b, a = (hooked.trace(prompt).attention(1, 1)[2:5, 2:5] for prompt in (PROMPT, OTHER))
    assert np.nan_to_num(difference(app)) == pytest.approx(b - a, abs=1e-6)
    bars = charts_of(app)["inlook-attention-heads-apart"].figure["data"][0]
    rows = [hooked.trace(text).attention(1, 1)[2:5] for text in (PROMPT, OTHER)]
    elsewhere = sum(row[:, :2].sum(-1) for row in rows)
    moved = np.abs(rows[0][:, 2:5] - rows[1][:, 2:5]).sum(-1) + elsewhere
    assert moved.mean() / 2 in [pytest.approx(share) for share in numbers(bars["x"])]

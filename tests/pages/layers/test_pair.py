"""Two runs on the Layers page: nothing between a run and itself, and where two of them part."""

import numpy as np
import pytest

from model_hooks import AblateMLP, HookedModel
from model_hooks.read.attribution import attribute_logit
from pages.state.view import Selection
from tests.conftest import tiny_llama, with_random_weights
from tests.pages.charts import numbers
from tests.pages.conftest import PROMPT
from tests.pages.pairs import charts_of, opened_with, said

OTHER = "the dog sat on the mat"


@pytest.fixture(scope="module")
def hooked(tokenizer) -> HookedModel:
    """One family is enough for a page."""
    return HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "tiny")


def difference(app):
    return numbers(charts_of(app)["inlook-layers-difference"].figure["data"][0]["z"])


def test_a_run_against_itself_has_no_difference(tiny_session):
    app = opened_with("layers", Selection(prompt=PROMPT))
    assert not app.exception
    assert not difference(app).any()
    assert "they do not part" in said(app)
    drawn = charts_of(app)
    for name in ("lens", "words"):
        one, other = (drawn[f"inlook-layers-{name}{end}"].figure for end in ("-a", ""))
        assert one == other


def test_swapped_runs_that_end_alike_have_the_other_sign(tiny_session):
    off = (AblateMLP(0),)
    there = opened_with("layers", Selection(prompt=PROMPT), interventions="ablate_mlp,0~")
    back = opened_with("layers", Selection(prompt=PROMPT, interventions=off))
    assert not there.exception
    assert not back.exception
    one, other = difference(there), difference(back)
    alike = np.isclose(one, -other, atol=1e-6).all(0)
    assert one.any()
    assert alike.any()  # where both end on one token


@pytest.mark.parametrize(
    "tab",
    [
        "words",
        *(pytest.param(tab, marks=pytest.mark.slow) for tab in ("halves", "parts", "growth")),
    ],
)
def test_every_tab_is_drawn_of_both(tiny_session, tab):
    app = opened_with("layers", Selection(prompt=OTHER, written=(3,)), layers__tab=tab, pos=2)
    assert not app.exception
    assert not app.error
    drawn = charts_of(app)
    (name,) = (
        one
        for one in drawn
        if one.startswith(f"inlook-layers-{tab}") and not one.endswith(("-a", "-between"))
    )
    a, b = drawn[f"{name}-a"].figure, drawn[name].figure
    assert a["data"] != b["data"]
    of_values = "xaxis" if tab == "halves" else "yaxis"
    assert a["layout"][of_values]["range"] == b["layout"][of_values]["range"]


def test_the_parts_of_a_score_are_subtracted(tiny_session, hooked):
    app = opened_with("layers", Selection(prompt=OTHER), layers__tab="parts", layers__logit_of=3)
    assert not app.exception
    figure = charts_of(app)["inlook-layers-parts-between"].figure
    a, b = (attribute_logit(hooked, hooked.trace(text), 3) for text in (OTHER, PROMPT))
    wanted = np.stack([b.attention - a.attention, b.feedforward - a.feedforward])
    assert numbers(figure["data"][0]["z"]) == pytest.approx(wanted, abs=1e-5)
    whole = hooked.trace(PROMPT).last_logits[3] - hooked.trace(OTHER).last_logits[3]
    rest = b.embedding - a.embedding  # there are no biases
    assert wanted.sum() + rest == pytest.approx(whole, abs=1e-4)


def test_a_place_that_a_lacks_costs_one_sentence(tiny_session):
    app = opened_with("layers", Selection(prompt="the mat"), pos=1)
    assert not app.exception
    assert "has no place in A's text" in said(app)

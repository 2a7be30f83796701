"""The parts of a logit in words and as a file."""

from dataclasses import replace

import numpy as np
import pytest

from model_hooks.read.attribution import Attribution, attribute_logit
from pages.layers.parts import inexact_reason, strongest, sum_text, table_of


@pytest.fixture
def found():
    return Attribution(
        token_id=3,
        against=None,
        pos=0,
        embedding=0.5,
        attention=np.array([2.0, -1.5]),
        feedforward=np.array([0.001, -0.25]),
        constant=0.0,
        logit=0.751,
        softcap=None,
        is_exact=True,
    )


def test_the_two_strongest_of_each_side_are_named_in_order(found):
    assert strongest(found, "cat") == (
        "Most for cat: **attention 0** (+2) and **the embedding** (+0.5). "
        "Most against: **attention 1** (-1.5) and **feedforward 1** (-0.25)."
    )


def test_what_would_read_as_zero_is_not_named(found):
    small = replace(found, embedding=0.001, attention=np.zeros(2), feedforward=np.zeros(2))
    assert strongest(small, "cat") == "Most for cat: nothing."


def test_the_sum_names_what_it_is_compared_with(found):
    assert sum_text(found).startswith("the parts sum to 0.75100, the model's logit is 0.75100;")
    capped = replace(found, against=1, softcap=30.0)
    assert "model's difference of the two logits before the softcap of 30 is" in sum_text(capped)


def test_every_reason_is_another_sentence(hooked):
    post = replace(hooked.info, norm_placement="post")
    reasons = {
        inexact_reason(hooked.info, False),
        inexact_reason(post),
        inexact_reason(hooked.info),
    }
    assert len(reasons) == 3
    assert "post-norm" in inexact_reason(post)


def test_the_files_parts_sum_to_its_logit(hooked, trace):
    frame = table_of(attribute_logit(hooked, trace, 2))
    values = frame.set_index("part")["value"]
    assert values["sum"] == pytest.approx(values["logit"], abs=1e-4)
    parts = values[["embedding", "attention", "feedforward", "bias"]]
    assert parts.sum() == pytest.approx(values["sum"], abs=1e-9)
    assert frame.layer.dropna().tolist() == [0, 0, 1, 1]

"""The formula of a score goes on from line to line, as its steps do."""

import math

import numpy as np
import pytest

from model_hooks.read.choice import TokenScore
from pages.lm_head.one_score import formula, table_of

VECTOR, ROW = np.array([1.0, 2.0], np.float32), np.array([3.0, -0.5], np.float32)


def score(**changes):
    told = {"bias": 0.0, "scale": 1.0, "softcap": None, "logit": 2.0, "is_exact": True}
    return TokenScore(0, "lm_head", 4, VECTOR, ROW, **{**told, **changes})


def test_a_plain_head_is_one_sum():
    lines = formula(score()).split(r" \\ ")
    assert len(lines) == 2
    assert "{2} h_i\\,w_i = 2.0000" in lines[0]


@pytest.mark.parametrize("bias", [0.0, 0.5, -0.5])
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_each_step_takes_what_the_one_before_gave(bias, scale):
    text = formula(score(bias=bias, scale=scale, softcap=4.0))
    scaled = (2.0 + bias) * scale
    assert (f"2.0000 {bias:+.4f} = {2.0 + bias:.4f}" in text) == (bias != 0)
    assert (rf"3 \times {2.0 + bias:.4f} = {scaled:.4f}" in text) == (scale != 1)
    capped = 4 * math.tanh(scaled / 4)
    assert rf"4 \tanh\frac{{{scaled:.4f}}}{{4}} = {capped:.4f}" in text


def test_the_products_of_the_file_sum_to_the_score():
    table = table_of(score())
    assert table["product"].tolist() == [3.0, -1.0]
    assert table.dimension.tolist() == [0, 1]

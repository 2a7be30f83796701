"""A notebook shows a trace's own tokens and probabilities, and nothing that a token says is run."""

import re
from dataclasses import replace

import numpy as np

from model_hooks.run.shown import MOST_TOKENS, likeliest_ids, shown


def test_the_likeliest_tokens_stand_beside_their_probabilities(hooked, trace):
    logits = trace.last_logits.astype(np.float64)
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    best = int(shares.argmax())
    assert trace.next_tokens[0] == hooked.tokenizer.convert_ids_to_tokens(best)
    assert len(trace.next_tokens) == len(logits)  # of 7
    html = trace._repr_html_()
    percents = [float(found) for found in re.findall(r"([\d.]+)&nbsp;%", html)]
    np.testing.assert_allclose(percents, 100 * np.sort(shares)[::-1], atol=0.051)


def test_equal_logits_go_by_their_ids():
    assert likeliest_ids(np.array([1.0, 3.0, 2.0, 3.0]), 3) == [1, 3, 2]
    assert likeliest_ids(np.zeros(2), 10) == [0, 1]


def test_tokens_are_shown_as_they_stand(trace):
    evil = ("<script>alert(1)</script>", "&amp;", " a\n", "\x00\u202e", '"', "'")
    html = replace(trace, tokens=evil, next_tokens=evil)._repr_html_()
    assert "<script" not in html
    assert "&amp;amp;" in html
    assert "·a↵" in html
    assert "⟨0⟩⟨202E⟩" in html


def test_of_a_long_text_the_end_is_shown():
    tokens = [f"t{i}" for i in range(MOST_TOKENS + 5)]
    html = shown(tokens, (), np.zeros(3), 2, 2)
    assert "… 5 before" in html
    assert "t5<" in html
    assert "t4<" not in html

"""The tail in pieces and one position at a time, against the plain model."""

import numpy as np
import pytest
import torch

from model_hooks import PromptError
from model_hooks.read.tail import (
    after_softcap,
    before_softcap,
    logits_after,
    logits_in_pieces,
    logits_of_rows,
)


@torch.inference_mode()
def plain_logits(hooked, trace):
    return hooked.model(torch.tensor(trace.token_ids)[None]).logits[0].numpy()


@pytest.mark.parametrize("pos", [0, 3, -1])
def test_logits_after_a_position_are_the_plain_models(hooked, trace, pos):
    expected = plain_logits(hooked, trace)[pos]
    np.testing.assert_allclose(logits_after(hooked, trace, pos), expected, atol=1e-5)


def test_a_position_beyond_the_text_is_refused(hooked, trace):
    with pytest.raises(PromptError, match="position 6"):
        logits_after(hooked, trace, 6)


def test_pieces_cover_every_row_once(hooked, trace, monkeypatch):
    expected = plain_logits(hooked, trace)
    monkeypatch.setattr("model_hooks.read.tail.MAX_ROWS", 4)
    pieces = list(logits_in_pieces(hooked, trace.layer_output(-1)))
    assert [(some.start, some.stop) for some, _ in pieces] == [(0, 4), (4, 6)]
    np.testing.assert_allclose(np.concatenate([part for _, part in pieces]), expected, atol=1e-5)
    some = logits_of_rows(hooked, trace.layer_output(-1), [5, 1])
    np.testing.assert_allclose(some, expected[:, [5, 1]], atol=1e-5)


def test_a_softcap_is_undone():
    scores = np.array([-50.0, 0.0, 3.0])
    np.testing.assert_allclose(before_softcap(after_softcap(scores, 30.0), 30.0), scores)
    assert after_softcap(scores, None) is before_softcap(scores, None) is scores

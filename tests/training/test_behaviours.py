from types import SimpleNamespace

import pytest
import torch

from training.behaviours import head_scores, name_repetition
from training.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["Lily and Tom had a ball."], 257, 512)


class HandMade:
    """One layer of four heads: previous token, first token, after the earlier copy, even."""

    def __call__(self, input_ids, **_):
        rows, n = input_ids.shape
        weights = torch.zeros(rows, 4, n, n)
        at = torch.arange(n)
        weights[:, 0, at, (at - 1).clamp(0)] = 1
        weights[:, 1, at, 0] = 1
        for row in range(rows):
            for i in at.tolist():
                earlier = (input_ids[row, :i] == input_ids[row, i]).nonzero()
                weights[row, 2, i, int(earlier[-1]) + 1 if len(earlier) else 0] = 1
        weights[:, 3] = torch.tril(torch.ones(n, n)) / (at + 1)[:, None]
        return SimpleNamespace(attentions=(weights,))


def test_hand_made_heads_are_found(tokenizer):
    scores = head_scores(HandMade(), tokenizer, ["abcdefghijkl" * 10], n_documents=2)
    assert scores["previous token"][0].tolist() == pytest.approx([1, 0, 0, 0], abs=0.1)
    assert scores["first token"][0].argmax() == 1
    assert scores["first token"][0, 1] == 1
    # Random tokens may repeat within one copy, so a perfect head scores a little below 1.
    assert scores["induction"][0, 2] > 0.8
    assert scores["induction"][0, [0, 1, 3]].max() < 0.1


def test_a_model_that_always_names_the_same_is_right_in_its_share(tokenizer):
    def always_l(input_ids, **_):
        logits = torch.zeros(1, input_ids.shape[1], len(tokenizer))
        logits[..., tokenizer(" ", add_special_tokens=False).input_ids[0]] = 1
        return SimpleNamespace(logits=logits)

    # With single bytes as tokens every name starts with the same space, so neither is preferred.
    found = name_repetition(always_l, tokenizer)
    assert found == {"cases": 168, "first": 1.0, "preferred": 0.0}

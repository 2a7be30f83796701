"""The loss on a prompt is the mean over what was predicted, and is told honestly."""

import numpy as np

from pages.efficient_attention.loss import Losses, loss_note, mean_bits

NAN = float("nan")


def test_the_first_token_is_predicted_by_nothing():
    assert mean_bits(np.array([NAN, 2.0, 4.0])) == 3
    assert np.isnan(mean_bits(np.array([NAN])))


def test_only_a_loss_that_fell_gets_a_word():
    fell = Losses(np.array([NAN, 2.0]), np.array([NAN, 1.0]))
    assert "by chance" in loss_note(fell)
    assert loss_note(Losses(fell.after, fell.before)) == ""
    assert loss_note(Losses(fell.before, fell.before)) == ""
    assert loss_note(Losses(np.array([NAN]), np.array([NAN]))) == ""

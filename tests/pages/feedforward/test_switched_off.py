"""What is said of a feedforward that is switched off."""

import numpy as np
import pytest

from pages.feedforward import switched_off
from pages.feedforward.switched_off import change_sentence, table_of, work_of


@pytest.fixture(autouse=True)
def _letters(monkeypatch):
    """Token 0 is called A, token 1 B, token 2 C."""
    monkeypatch.setattr(switched_off, "token_labels", lambda ids: {i: "ABC"[i] for i in ids})


def test_a_word_that_falls_and_loses_its_place():
    before, after = np.array([0.7, 0.2, 0.1]), np.array([0.1, 0.8, 0.1])
    assert change_sentence(before, after, 0, 3) == (
        "Without the feedforward of layer 3, **A** falls from 70.0% to **10.0%**. The most "
        "probable token was **A** and becomes **B** (80.0%)."
    )


def test_a_word_that_rises_while_the_first_stays():
    before, after = np.array([0.7, 0.2, 0.1]), np.array([0.6, 0.3, 0.1])
    assert change_sentence(before, after, 1, 0) == (
        "Without the feedforward of layer 0, **B** rises from 20.0% to **30.0%**. The most "
        "probable token stays **A**."
    )


def test_work_grows_with_text_layers_and_parameters(hooked):
    assert work_of(hooked.info, 20) == 2 * work_of(hooked.info, 10)
    assert work_of(hooked.info, 1) == hooked.info.n_parameters * hooked.info.n_layers


def test_the_file_holds_each_layer_beside_the_whole():
    frame = table_of(np.array([0.1, 0.2]), 0.5)
    assert frame.values.tolist() == [[0, 0.1, 0.5], [1, 0.2, 0.5]]

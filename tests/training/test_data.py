import numpy as np
import pytest

from training.corpus import CorpusError
from training.data import Documents, Windows


def documents(n: int, length: int, low: int) -> Documents:
    """n documents: 0, then `length - 1` copies of an ID of their own, from `low` on."""
    ids = np.concatenate([[0] + [low + i] * (length - 1) for i in range(n)]).astype(np.uint16)
    return Documents(ids, np.arange(n) * length)


def test_every_window_starts_with_end_of_text_and_keeps_documents_whole():
    windows = Windows(documents(20, 9, 1), None, 0.0, rows=4, n=16, seed=3)
    for _ in range(30):
        batch = windows.next_batch()
        assert batch.shape == (4, 17)
        assert (batch[:, 0] == 0).all()
        changes = (batch[:, 1:-1] != batch[:, 2:]) & (batch[:, 1:-1] != 0) & (batch[:, 2:] != 0)
        assert not changes.any()


def test_an_epoch_reads_every_document():
    windows = Windows(documents(20, 9, 1), None, 0.0, rows=1, n=16, seed=3)
    seen = set()
    while windows.epoch < 4:
        seen |= set(windows.next_batch().ravel().tolist())
    assert seen == set(range(21))


def test_the_order_depends_on_the_seed_alone():
    def first(seed):
        windows = Windows(documents(50, 9, 1), None, 0.0, rows=8, n=16, seed=seed)
        return np.stack([windows.next_batch() for _ in range(5)])

    assert (first(0) == first(0)).all()
    assert (first(0) != first(1)).any()


def test_reading_goes_on_where_it_stopped():
    windows = Windows(documents(50, 9, 1), None, 0.0, rows=8, n=16, seed=0)
    for _ in range(9):
        windows.next_batch()
    other = Windows(documents(50, 9, 1), None, 0.0, rows=8, n=16, seed=0)
    other.restore(windows.state())
    assert (other.next_batch() == windows.next_batch()).all()


def test_facts_take_their_share_of_the_tokens():
    windows = Windows(documents(400, 20, 1), documents(30, 5, 1000), 0.1, rows=8, n=32, seed=0)
    tokens = np.concatenate([windows.next_batch()[:, 1:].ravel() for _ in range(150)])
    assert (tokens >= 1000).mean() / (tokens > 0).mean() == pytest.approx(0.085, abs=0.015)


def test_a_text_shorter_than_one_window_is_refused():
    with pytest.raises(CorpusError, match="18 tokens, shorter than one context of 32"):
        Windows(documents(2, 9, 1), None, 0.0, rows=1, n=32, seed=0)

"""Turns documents into token windows: encoded once, memory-mapped, cut anew for each epoch."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerFast

from training.corpus import CorpusError


class Documents:
    """Token IDs of many documents in one flat array, each document starting with `<|endoftext|>`.

    Attributes:
        ids: uint16 [n_tokens].
        starts: int64 [n_documents], where each document starts in `ids`.
    """

    def __init__(self, ids: np.ndarray, starts: np.ndarray):
        self.ids = ids
        self.starts = starts
        self.lengths = np.diff(np.append(starts, len(ids)))

    @classmethod
    def encode(
        cls, texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, cache: Path | None = None
    ) -> "Documents":
        """Encodes the texts; with a cache folder, once, and memory-maps the result from then on."""
        if cache is None:
            return cls(*_encode(texts, tokenizer))
        digest = hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode())
        for text in texts:
            digest.update(text.encode() + b"\0")
        path = cache / f"{digest.hexdigest()[:16]}.npy"
        if not path.exists():
            cache.mkdir(parents=True, exist_ok=True)
            ids, starts = _encode(texts, tokenizer)
            for name, array in ((path.with_suffix(".starts.npy"), starts), (path, ids)):
                aside = name.with_suffix(f".{os.getpid()}.tmp")
                with aside.open("wb") as file:
                    np.save(file, array)
                os.replace(aside, name)
        return cls(np.load(path, mmap_mode="r"), np.load(path.with_suffix(".starts.npy")))


def _encode(texts, tokenizer) -> tuple[np.ndarray, np.ndarray]:
    if len(tokenizer) > np.iinfo(np.uint16).max + 1:
        raise CorpusError(f"A vocabulary of {len(tokenizer):,} does not fit in 16 bits.")
    encoded = tokenizer.backend_tokenizer.encode_batch(list(texts))
    rows = [np.array(row.ids, dtype=np.uint16) for row in encoded]
    starts = np.cumsum([0] + [len(row) for row in rows[:-1]])
    return np.concatenate(rows), starts


class Windows:
    """Batches of windows of n + 1 tokens: n inputs and, shifted by one, n targets.

    Each epoch shuffles the documents, scatters the facts among them, joins all to one stream and
    cuts it into windows at a random offset. Half of the windows move on to the next start of a
    document; the others begin in the middle of one and get `<|endoftext|>` put before them. So
    position 0 is always `<|endoftext|>`. The order depends on the seed alone: two models with one
    seed see the same tokens in the same order.
    """

    def __init__(
        self,
        stories: Documents,
        facts: Documents | None,
        fact_share: float,
        rows: int,
        n: int,
        seed: int,
    ):
        self.stories, self.facts, self.fact_share = stories, facts, fact_share
        self.rows, self.n, self.seed = rows, n, seed
        self.epoch, self.cursor = 0, 0
        self._windows: np.ndarray | None = None
        if len(stories.ids) <= n:
            raise CorpusError(
                f"The text has {len(stories.ids):,} tokens, shorter than one context of {n:,}. "
                "Give a longer text or a smaller sequence length."
            )

    def state(self) -> dict[str, int]:
        """Where the reading stands; give it to `restore`."""
        return {"epoch": self.epoch, "cursor": self.cursor, "n": self.n}

    def restore(self, state: dict[str, int]) -> None:
        """Continues where `state` was taken; another window length starts the next epoch."""
        if state["n"] == self.n:
            self.epoch, self.cursor = state["epoch"], state["cursor"]
        else:
            self.epoch, self.cursor = state["epoch"] + 1, 0
        self._windows = None

    def _cut_epoch(self) -> np.ndarray:
        random = np.random.default_rng([self.seed, self.epoch])
        pieces = [
            self.stories.ids[start : start + length]
            for start, length in zip(self.stories.starts, self.stories.lengths, strict=True)
        ]
        if self.facts is not None and self.fact_share > 0:
            wanted = self.fact_share * len(self.stories.ids) / (1 - self.fact_share)
            for i in random.permutation(
                np.resize(
                    random.permutation(len(self.facts.starts)),
                    int(wanted / self.facts.lengths.mean()),
                )
            ):
                start = self.facts.starts[i]
                pieces.append(self.facts.ids[start : start + self.facts.lengths[i]])
        order = random.permutation(len(pieces))
        stream = np.concatenate([pieces[i] for i in order])
        starts = np.cumsum([0] + [len(pieces[i]) for i in order])[:-1]
        offsets = np.arange(random.integers(self.n), len(stream) - 2 * self.n - 1, self.n)
        if not len(offsets):
            offsets = np.zeros(1, dtype=np.int64)
        following = starts[np.minimum(np.searchsorted(starts, offsets), len(starts) - 1)]
        move = (random.random(len(offsets)) < 0.5) & (following < offsets + self.n)
        move &= following >= offsets
        offsets = np.where(move, following, offsets)
        bos = stream[0]
        windows = np.full((len(offsets), self.n + 1), bos, dtype=np.uint16)
        for row, offset in enumerate(offsets):
            if stream[offset] == bos:
                windows[row] = stream[offset : offset + self.n + 1]
            else:
                windows[row, 1:] = stream[offset : offset + self.n]
        return windows[random.permutation(len(windows))]

    def next_batch(self) -> np.ndarray:
        """int64 [rows, n + 1]."""
        rows: list[np.ndarray] = []
        while len(rows) < self.rows:
            if self._windows is None:
                self._windows = self._cut_epoch()
            if self.cursor >= len(self._windows):
                self.epoch, self.cursor = self.epoch + 1, 0
                self._windows = self._cut_epoch()
            rows.append(self._windows[self.cursor])
            self.cursor += 1
        return np.stack(rows).astype(np.int64)

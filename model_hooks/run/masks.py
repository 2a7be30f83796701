"""Which keys a query may read: an attention call's mask, written out, and made narrower.

A mask is boolean (True = may read) or additive, [1, 1 or head, new, n_keys]; the fast path of
transformers leaves it out where it is plainly causal.
"""

import torch
from jaxtyping import Bool
from torch import Tensor


def explicit(
    mask: Tensor | None, n_query: int, n_keys: int, causal: bool, device: torch.device
) -> Tensor:
    """Return a mask, made if there is none: causal, or one that lets everything be read."""
    if mask is not None:
        return mask
    allowed = torch.ones(1, 1, n_query, n_keys, dtype=torch.bool, device=device)
    return allowed.tril(n_keys - n_query) if causal else allowed


def rows_of(
    mask: Tensor | None, rows: range, n_query: int, n_keys: int, causal: bool, device: torch.device
) -> Tensor:
    """Return the mask of some of a call's queries alone, made if there is none."""
    if mask is not None:
        mask = mask[..., -n_query:, :n_keys]
        return mask if mask.shape[2] == 1 else mask[:, :, rows.start : rows.stop]
    last = torch.arange(rows.start, rows.stop, device=device) + (n_keys - n_query)
    keys = torch.arange(n_keys, device=device)
    allowed = keys <= last[:, None] if causal else (keys >= 0).expand(len(rows), -1)
    return allowed[None, None]


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a mask as the summand that eager attention expects."""
    if mask.dtype != torch.bool:
        return mask
    lowest = torch.finfo(dtype).min
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, lowest)


def allowed_by(mask: Tensor) -> Bool[Tensor, "..."]:
    """Return a mask as booleans: which keys may be read."""
    return mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2


class NarrowedMask:
    """The mask of one attention call while interventions take pairs away from it.

    The model's own mask is copied before the first change; without any, it stays as it is.

    Args:
        mask: Of the call; None for plain causal (or plain full) attention.
        query: [1, head, new, d_head].
        key: [1, kv_head, n_keys, d_head]. Fewer keys than positions are the last ones: so a KV
            cache of a sliding-window layer hands them over.
        end: The position after the last query.
        causal: Whether no mask means a causal one.
    """

    def __init__(
        self, mask: Tensor | None, query: Tensor, key: Tensor, end: int, causal: bool
    ) -> None:
        self.tensor = mask
        self.n_heads, self.n_query, self.n_keys = query.shape[1], query.shape[2], key.shape[2]
        self.end, self._causal, self._device = end, causal, query.device
        self._copied = False

    @property
    def one_key_each(self) -> bool:
        """Whether queries and keys can be told by their positions."""
        return max(self.n_query, self.n_keys) <= self.end

    @property
    def queries(self) -> Tensor:
        """Positions of the queries, [new, 1]."""
        return torch.arange(self.end - self.n_query, self.end, device=self._device)[:, None]

    @property
    def keys(self) -> Tensor:
        """Positions of the keys, [n_keys]."""
        return torch.arange(self.end - self.n_keys, self.end, device=self._device)

    def forbid(self, query: int, key: int, head: int | None = None) -> None:
        """Keep a query position from reading a key position, in one head or in all.

        A position or head that this call has nothing to do with is no concern of it.
        """
        row, column = query - (self.end - self.n_query), key - (self.end - self.n_keys)
        there = 0 <= row < self.n_query and 0 <= column < self.n_keys
        if not there or (head is not None and head >= self.n_heads):
            return
        mask = self._own()
        if head is not None and mask.shape[1] < self.n_heads:
            mask = self.tensor = mask.expand(-1, self.n_heads, -1, -1).clone()
        mask[:, slice(None) if head is None else head, row, column] = _blocked(mask)

    def keep(self, allowed: Bool[Tensor, "*text_head new n_keys"]) -> None:
        """Take away every pair that is not among these, which may differ from text to text."""
        readable = self.keys <= self.queries
        if torch.equal(allowed & readable, readable):
            return
        mask = self._explicit()[..., : self.n_keys]
        self.tensor, self._copied = mask.masked_fill(~allowed, _blocked(mask)), True

    def _explicit(self) -> Tensor:
        return explicit(self.tensor, self.n_query, self.n_keys, self._causal, self._device)

    def _own(self) -> Tensor:
        """The mask as a copy with a row per query, free to be written to."""
        mask = self._explicit()
        if not self._copied:
            mask = self.tensor = mask.expand(-1, -1, self.n_query, -1).clone()
            self._copied = True
        return mask


def _blocked(mask: Tensor) -> bool | float:
    return False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min

"""How far is a model that is being opened, where that takes long enough to ask?"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from transformers import modeling_gguf_pytorch_utils

_done: dict[str, float] = {}


def progress_of(name: str) -> float | None:
    """Return which share of a model's weights is unpacked; None where none is being unpacked."""
    return _done.get(name)


@contextmanager
def reporting(name: str) -> Iterator[None]:
    """Note how far transformers' own bar is, and draw none.

    Only one thread at a time may load (`alone.py`).
    """

    def bar(tensors: Sequence[Any], **_: Any) -> Iterator[Any]:
        for n_done, tensor in enumerate(tensors):
            yield tensor
            _done[name] = (n_done + 1) / len(tensors)

    drawn: Any = modeling_gguf_pytorch_utils
    before, drawn.tqdm = drawn.tqdm, bar
    _done[name] = 0.0
    try:
        yield
    finally:
        drawn.tqdm = before
        _done.pop(name, None)

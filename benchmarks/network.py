"""How often, and with how much, does each page ask a model that is on another machine?

    python -m benchmarks.network [--tokens 256] [--address http://models:8000] [--model storyteller]

Every page is opened with nothing kept, then three tokens of the text are chosen one after the
other. Calls and bytes are those of questions and answers as they travel. Without an address they
travel in this process, to a model of GPT-2's size with random weights, 12 layers of 12 heads.
"""

import argparse
import logging
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

from transformers import AutoTokenizer

from benchmarks.sized_models import build
from model_hooks import HookedModel
from model_hooks.cluster.asking import OnWait, answer_in, answers_to, question_in
from model_hooks.cluster.client import Client
from model_hooks.cluster.places import TOKEN
from model_hooks.cluster.wire import pack
from model_hooks.host import Answers, Host, Question
from pages.ask import computed
from pages.ask.far import Far
from pages.state import visit

ROOT = Path(__file__).parents[1]
N_CLICKS = 3


class Counting:
    """Answers by bytes, and counts them.

    Args:
        host: Who answers in the end.
    """

    def __init__(self, host: Answers) -> None:
        self._host = host
        self.calls = self.n_bytes = 0

    def answer(self, question: Question, session: str = "", on_wait: OnWait | None = None) -> Any:
        """Return what comes out at the other end."""
        asked = pack(question)
        self.calls, self.n_bytes = self.calls + 1, self.n_bytes + len(asked)
        return answer_in(self._counted(answers_to(self._host, question_in(asked))))

    def _counted(self, frames: Iterator[bytes]) -> Iterator[bytes]:
        for data in frames:
            self.n_bytes += len(data)
            yield data


def rows(host: Counting, link: dict[str, str], n_tokens: int) -> Iterator[tuple[str, ...]]:
    """Open each page and choose tokens on it; yield a row of the table for each."""
    import app as entry
    from tests.pages.conftest import ServedPagesManager, opened

    manager = patch("streamlit.testing.v1.app_test.PagesManager", ServedPagesManager)
    whole = patch.object(visit, "PARTS_ALONE", False)  # an AppTest sees what its last run drew
    with manager, whole:
        app, positions = opened(None, **link), cycle(range(n_tokens))
        for place in (place for group in entry.PAGES.values() for place in group):
            if place.has_text:
                yield row(host, app, place, list(islice(positions, N_CLICKS)))


def row(host: Counting, app: Any, place: Any, positions: Sequence[int]) -> tuple[str, ...]:
    """Open one page with nothing kept, choose tokens on it, and return its row of the table.

    Raises:
        RuntimeError: The page shows an exception, or did not do what it was told.
    """
    from tests.pages.conftest import switched, told

    computed.forget()
    measured = []
    for pos in (None, *positions):
        host.calls = host.n_bytes = 0
        began = time.perf_counter()
        if pos is None:
            switched(app, place.folder)
        else:
            told(app, "text_bar_strip", picked=pos)
        measured.append((host.calls, host.n_bytes, time.perf_counter() - began))
        if app.exception:
            raise RuntimeError(f"{place.title}: {app.exception[0].value}")
        if pos is not None and app.session_state["visit.view"].pos != pos:
            raise RuntimeError(f"{place.title} did not choose token {pos}")
    first, clicks = measured[0], measured[1:]
    calls, n_bytes, seconds = (statistics.median(one) for one in zip(*clicks, strict=True))
    return (
        *(place.title, f"{first[0]}", f"{first[1] / 1e6:.2f}"),
        *(f"{calls:.0f}", f"{n_bytes / 1e6:.3f}", f"{1000 * seconds:.0f}"),
    )


def sized(tokenizer: Any) -> HookedModel:
    """Return a model of GPT-2's size with random weights."""
    return HookedModel.wrap(build("GPT-2 124M"), tokenizer, "sized")


def text_of(tokenizer: Any, n_tokens: int) -> str:
    """Return the beginning of a story, so many tokens of it."""
    text = (ROOT / "pages/positions/story.txt").read_text(encoding="utf-8")
    ids = tokenizer(text, truncation=True, max_length=n_tokens)["input_ids"]
    return tokenizer.decode(ids[1:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--address")
    parser.add_argument("--model", default="storyteller")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models/storyteller")
    link = {"prompt": text_of(tokenizer, args.tokens)}
    if args.address:
        host = Counting(Client(args.address, os.environ.get(TOKEN, "")))
        link["model"] = args.model
    else:
        model = sized(tokenizer)
        host = Counting(Host(lambda name: model))
    computed.set_host(Far(host))
    print("| page | calls to open | MB | calls per click | MB | ms per click |")
    print("|---|---|---|---|---|---|")
    for row in rows(host, link, args.tokens):
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()

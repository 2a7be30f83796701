"""How long does each page take to open with a long text, and how much does it send?

    python -m benchmarks.long_texts [--tokens 200 2000 8000] [--model tiny] [--pages Attention]

A visitor without a browser opens the first page and waits for the model's run, then goes from page
to page: seconds and megabytes are those between asking for a page and the end of its script. A
click is another token of the text, chosen in the bar. Without `--model` the model is a tiny Llama
with a context of 16,384 and random weights; `qwen` is one of the shape of Qwen3-0.6B in bfloat16,
and any other name is opened as the app would. The goals are 3 s for a page and 0.5 s for a click.
"""

import argparse
import asyncio
import tempfile
import time
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
from transformers import AutoModelForCausalLM, Qwen3Config

from benchmarks.load import Student
from benchmarks.sized_models import numbers_tokenizer
from tests.browser.driving import serve
from tests.tiny_models import PROMPT_IDS, build, tiny_tokenizer

PAGES = {
    "Tokenizer": "text-to-tokens",
    "Forward pass": "",
    "Generation": "why-this-token",
    "Attention": "what-each-head-reads",
    "Feedforward": "what-neurons-do",
    "Layers": "layer-by-layer",
    "LM head": "vector-to-probabilities",
    "KV cache": "keys-and-values-kept",
    "Efficient attention": "cheaper-attention",
    "Block architecture": "block-then-and-now",
    "Positions": "where-is-each-token",
}
CONTEXT = 16_384
N_WORDS = 97
"""So many different words the text is made of, one after the other."""


def save_tiny(folder: Path) -> list[str]:
    """Save a tiny Llama with a long context; return words that are one token each."""
    build("llama", max_position_embeddings=CONTEXT).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    # The unknown token w9 is found inside longer words.
    return [f"w{i}" for i in PROMPT_IDS if not str(i).startswith("9")]


def save_qwen(folder: Path) -> list[str]:
    """Save random bfloat16 weights of the shape of Qwen3-0.6B; return words of one token each."""
    config = Qwen3Config(
        vocab_size=151_936,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=40_960,
        tie_word_embeddings=True,
        dtype=torch.bfloat16,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    numbers_tokenizer(config.vocab_size).save_pretrained(folder)
    return [str(1000 + i) for i in range(N_WORDS)]


SHAPES = {"tiny": save_tiny, "qwen": save_qwen}


def text_of(words: list[str], n_tokens: int) -> str:
    """Return a text of so many tokens in which nothing repeats soon."""
    return " ".join(words[(i + i // len(words)) % len(words)] for i in range(n_tokens))


async def measure(url: str, query: str, pages: list[str]) -> AsyncIterator[list[str]]:
    """Open the pages one after the other; yield a row of the table for each."""
    visitor = Student(0, query)
    began = time.perf_counter()
    await visitor.open(url, "vector-to-probabilities")
    yield ["(first page, with the run)", f"{time.perf_counter() - began:.2f}", "", ""]
    for page in pages:
        before, began = visitor.n_bytes, time.perf_counter()
        await visitor.go(PAGES[page])
        opened, sent = time.perf_counter() - began, visitor.n_bytes - before
        began = time.perf_counter()
        await visitor.choose_token()
        clicked = time.perf_counter() - began
        if visitor.errors:
            raise RuntimeError(f"{page}: {visitor.errors[0]}")
        yield [page, f"{opened:.2f}", f"{sent / 1e6:.2f}", f"{clicked:.2f}"]


@contextmanager
def saved(name: str) -> Iterator[tuple[str, list[str]]]:
    """Give the name that a model is opened by, and words to write a text of."""
    with tempfile.TemporaryDirectory() as folder:
        if name in SHAPES:
            yield folder, SHAPES[name](Path(folder))
        else:
            yield name, ["the", "dog", "and", "a", "cat", "went", "to", "see", "her", "friend"]


async def _print(url: str, query: str, pages: list[str]) -> None:
    async for row in measure(url, query, pages):
        print(f"| {' | '.join(row)} |", flush=True)


def main() -> None:
    """Print a table for each length."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, nargs="+", default=[200, 2000, 8000])
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--pages", nargs="+", default=[*PAGES])
    args = parser.parse_args()
    with saved(args.model) as (model, words):
        for n_tokens in args.tokens:
            query = urllib.parse.urlencode({"model": model, "prompt": text_of(words, n_tokens)})
            with tempfile.TemporaryDirectory() as log, serve(Path(log) / "server.txt") as url:
                (server,) = psutil.Process().children()
                print(f"\n| {args.model}, {n_tokens:,} tokens | s | MB sent | click, s |")
                print("|---|---|---|---|")
                asyncio.run(_print(url, query, args.pages))
                print(f"\n{server.memory_info().rss / 2**20:,.0f} MB of memory in the end.")


if __name__ == "__main__":
    main()

"""What recorded generation costs against `generate()` of plain transformers.

    python -m benchmarks.generation [--tokens 50] [--rounds 5] [--threads 1]

Interleaved in one run, so only ratios count. Writes benchmarks/generation.md.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.capture import token_ids
from benchmarks.sized_models import SIZED, build, numbers_tokenizer
from model_hooks import Decoding, HookedModel

PROMPT_LENGTH = 32


def runs(name: str, n_tokens: int, use_cache: bool) -> dict[str, Callable[[], list[int]]]:
    """Return the two ways to write the same tokens; each has a model of the same weights."""
    plain = build(name)
    hooked = HookedModel.wrap(build(name), numbers_tokenizer(plain.config.vocab_size), name)
    prompt = token_ids(PROMPT_LENGTH)

    def run_plain() -> list[int]:
        output = plain.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, PROMPT_LENGTH, dtype=torch.long),
            max_new_tokens=n_tokens,
            do_sample=False,
            use_cache=use_cache,
        )
        return output[0, PROMPT_LENGTH:].tolist()

    def run_recorded() -> list[int]:
        hooked.forget()
        generation = hooked.start(prompt, Decoding(), use_cache)
        for _ in range(n_tokens):
            generation = hooked.step(generation)
        return [step.token_id for step in generation.steps]

    return {"plain": run_plain, "recorded": run_recorded}


def ratio(name: str, n_tokens: int, rounds: int, use_cache: bool) -> tuple[float, float, float]:
    """Return the median, least and greatest ratio of recorded to plain time.

    Raises:
        AssertionError: The two wrote different tokens.
    """
    both = runs(name, n_tokens, use_cache)
    ratios = []
    for round_id in range(rounds + 1):
        seconds, tokens = {}, {}
        for variant in sorted(both, reverse=bool(round_id % 2)):
            started = time.perf_counter()
            tokens[variant] = both[variant]()
            seconds[variant] = time.perf_counter() - started
        assert tokens["plain"] == tokens["recorded"], "recording changed the text"
        if round_id:  # the first round warms up
            ratios.append(seconds["recorded"] / seconds["plain"])
    return statistics.median(ratios), min(ratios), max(ratios)


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    lines = [
        "# Cost of recorded generation",
        "",
        f"`python -m benchmarks.generation`: {arguments.tokens} greedy tokens after a prompt of "
        f"{PROMPT_LENGTH}, everything recorded for every position, against `generate()` of plain "
        f"transformers that records nothing. torch {torch.__version__}, {arguments.threads} "
        f"thread(s), float32 on the CPU, random weights; median (least to greatest) time ratio of "
        f"{arguments.rounds} interleaved rounds. The tokens were the same in every round.",
        "",
        "| | KV cache on | KV cache off |",
        "|---|---|---|",
    ]
    for name in SIZED:
        cells = []
        for use_cache in (True, False):
            median, least, greatest = ratio(name, arguments.tokens, arguments.rounds, use_cache)
            cells.append(f"{median:.2f} ({least:.2f} to {greatest:.2f})")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    text = "\n".join([*lines, ""])
    print(text)
    (Path(__file__).parent / "generation.md").write_text(text)


if __name__ == "__main__":
    main()

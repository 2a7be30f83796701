"""What recording a forward pass costs against plain transformers: time ratio and extra memory.

    python -m benchmarks.capture [--rounds 9] [--lengths 16,64,256,1024] [--threads 1]

Everything is interleaved in one run, so only ratios count. Writes benchmarks/capture.md.
Memory is the peak of a process of its own per variant, minus that of one that only loaded.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.sized_models import SIZED, build, numbers_tokenizer
from model_hooks import HookedModel

PLAIN, CAPTURE, LOOKED_AT, EAGER = (
    "plain forward",
    "full capture",
    "capture, then every map",
    "eager, output_attentions",
)


def variants(name: str) -> dict[str, Callable[[list[int]], object]]:
    """Return the ways to run a text that are compared; each has a model of the same weights."""
    plain, eager = build(name), build(name)
    eager.set_attn_implementation("eager")
    hooked = HookedModel.wrap(build(name), numbers_tokenizer(plain.config.vocab_size), name)

    @torch.inference_mode()
    def run_plain(ids: list[int]) -> object:
        return plain(torch.tensor([ids]), use_cache=False)

    @torch.inference_mode()
    def run_eager(ids: list[int]) -> object:
        return eager(
            torch.tensor([ids]), use_cache=False, output_attentions=True, output_hidden_states=True
        )

    def run_and_look(ids: list[int]) -> object:
        trace = hooked.trace(ids)
        return trace, [trace.attention(layer) for layer in range(trace.n_layers)]

    return {PLAIN: run_plain, CAPTURE: hooked.trace, LOOKED_AT: run_and_look, EAGER: run_eager}


def time_ratios(name: str, lengths: list[int], rounds: int) -> dict[int, dict[str, float]]:
    """Return the median ratio of each variant's time to the plain forward of the same round."""
    runs = variants(name)
    table: dict[int, dict[str, float]] = {}
    for length in lengths:
        ids = token_ids(length)
        ratios: dict[str, list[float]] = {variant: [] for variant in runs}
        for round_id in range(rounds + 1):
            order = list(runs) if round_id % 2 else list(reversed(runs))
            seconds = {}
            for variant in order:
                started = time.perf_counter()
                runs[variant](ids)
                seconds[variant] = time.perf_counter() - started
            if round_id:  # the first round warms up
                for variant, value in seconds.items():
                    ratios[variant].append(value / seconds[PLAIN])
        table[length] = {variant: statistics.median(values) for variant, values in ratios.items()}
    return table


def peak_megabytes(name: str, variant: str, length: int, threads: int) -> float:
    """Return the peak memory of a process that runs one variant once."""
    command = [sys.executable, "-m", "benchmarks.capture", "--peak", name, variant, str(length)]
    output = subprocess.check_output([*command, "--threads", str(threads)], text=True)
    return json.loads(output.splitlines()[-1])


def print_peak(name: str, variant: str, length: int) -> None:
    """Run one variant once in this process and print the peak in MB."""
    model = build(name)
    tokenizer = numbers_tokenizer(model.config.vocab_size)  # in all, so that it does not count
    ids = token_ids(length)
    if variant == EAGER:
        model.set_attn_implementation("eager")
    kept: object = None
    with torch.inference_mode():
        if variant == PLAIN:
            kept = model(torch.tensor([ids]), use_cache=False)
        elif variant == EAGER:
            kept = model(
                torch.tensor([ids]),
                use_cache=False,
                output_attentions=True,
                output_hidden_states=True,
            )
        elif variant == CAPTURE:
            kept = HookedModel.wrap(model, tokenizer, name).trace(ids)
    print(json.dumps(_peak_megabytes_here() if kept is not None else 0.0))


def _peak_megabytes_here() -> float:
    """Return this process's peak memory; Linux's `ru_maxrss` would include the parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def token_ids(length: int) -> list[int]:
    """Return a fixed text of that many tokens."""
    return [(17 * i * i + 3) % 30000 for i in range(length)]


def main() -> None:
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--lengths", default="16,64,256,1024")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--peak", nargs=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peak:
        name, variant, length = arguments.peak
        print_peak(name, variant, int(length))
        return
    lengths = [int(length) for length in arguments.lengths.split(",")]
    longest = max(lengths)
    lines = ["# Cost of recording a forward pass", ""]
    lines += [
        f"`python -m benchmarks.capture`: torch {torch.__version__}, "
        f"{arguments.threads} thread(s), float32 on the CPU, random weights, median of "
        f"{arguments.rounds} interleaved rounds. "
        "Time is a ratio to plain `model(ids)` of the same round, which computes the logits of "
        "every position; recording computes those of the last one and the others on demand.",
        "",
    ]
    for name in SIZED:
        table = time_ratios(name, lengths, arguments.rounds)
        header = [f"{length} tokens" for length in lengths]
        lines += [f"## {name}", "", "| time, ratio to plain | " + " | ".join(header) + " |"]
        lines.append("|---" * (1 + len(lengths)) + "|")
        for variant in table[lengths[0]]:
            cells = [f"{table[length][variant]:.2f}" for length in lengths]
            lines.append(f"| {variant} | " + " | ".join(cells) + " |")
        peaks = {
            variant: peak_megabytes(name, variant, longest, arguments.threads)
            for variant in (PLAIN, CAPTURE, EAGER)
        }
        extra = {variant: peaks[variant] - peaks[PLAIN] for variant in (CAPTURE, EAGER)}
        lines += [
            "",
            f"Extra peak memory over a plain forward at {longest} tokens: full capture "
            f"{extra[CAPTURE]:.0f} MB, eager {extra[EAGER]:.0f} MB: "
            f"{max(extra[CAPTURE], 0) / extra[EAGER]:.2f} of it.",
            "",
        ]
    text = "\n".join(lines)
    print(text)
    (Path(__file__).parent / "capture.md").write_text(text)


if __name__ == "__main__":
    main()

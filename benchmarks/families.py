"""Does Inlook record every causal LM type of transformers exactly? Run it and read the table.

    python -m benchmarks.families [--only llama,gpt2]

Each type is built tiny with random weights (tiny_models.py), traced and stepped, and compared with
the model's own eager attention (eager_reference.py) and with `generate()`. Types run in a worker
process, so that one that crashes or hangs costs only itself. A full run writes families.md.
"""

import argparse
import copy
import multiprocessing
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import PreTrainedModel

from benchmarks.eager_reference import NoReferenceError, Reference, eager_reference
from model_hooks import Decoding, HookedModel, InlookError, Trace
from tests.tiny_models import (
    CAUSAL_LM_TYPES,
    PROMPT_IDS,
    CannotBuildError,
    build,
    tiny_prompt,
    tiny_tokenizer,
)

TABLE = Path(__file__).with_suffix(".md")
TOLERANCE = 1e-5
"""Largest difference allowed, absolute up to a magnitude of 1 and relative above."""

PROMPT_LENGTH = 40
NEW_TOKENS = 10
SECONDS_PER_TYPE = 60


@dataclass(frozen=True)
class Verdict:
    """What became of one type."""

    model_type: str
    kind: str
    """`exact`, `refused`, `wrong` or `cannot be built tiny`."""
    detail: str = ""


def check(model_type: str) -> Verdict:
    """Build, trace and step one type, and compare it with transformers."""
    try:
        model = build(model_type)
    except CannotBuildError as error:
        return Verdict(model_type, "cannot be built tiny", str(error))
    try:
        worst, notes = differences(model, torch.float32)
        in_float32 = _over(worst)
        if in_float32:  # Rounding or a mistake? In float64 only the mistake is left.
            worst, notes = differences(model, torch.float64)
            notes.insert(0, "in float64")
        if _over(worst):
            return Verdict(model_type, "wrong", ", ".join(in_float32))
        return Verdict(model_type, "exact", "; ".join([_summary(worst), *notes]))
    except InlookError as error:
        return Verdict(model_type, "refused", str(error))
    except NoReferenceError as error:
        return Verdict(model_type, "wrong", f"no reference to compare with: {error}")
    except Exception as error:
        line = next(iter(str(error).splitlines()), "")
        return Verdict(model_type, "wrong", f"{type(error).__name__}: {line}")


def differences(model: PreTrainedModel, dtype: torch.dtype) -> tuple[dict[str, float], list[str]]:
    """Return the largest difference per recorded thing, and remarks on the type.

    The difference is infinite where shapes or tokens differ.
    """
    prompt = tiny_prompt(PROMPT_LENGTH)
    plain = copy.deepcopy(model).to(dtype)
    if dtype == torch.float64 and plain._can_set_experts_implementation():
        plain.set_experts_implementation("eager")  # the grouped product knows no float64
    hooked = HookedModel.wrap(copy.deepcopy(plain), tiny_tokenizer())
    reference = eager_reference(plain, prompt)
    trace = hooked.trace(prompt)
    worst = compare(trace, reference)

    greedy = _greedy_by_hand(plain, prompt)
    generated = _generated(plain, prompt)
    # Past a special token the families disagree with themselves: RoBERTa counts no padding.
    n = next((i for i, token_id in enumerate(greedy) if token_id not in PROMPT_IDS), NEW_TOKENS)
    notes = []
    if generated[:n] != greedy[:n]:
        notes.append("its generate() departs from its own forward()")
    for use_cache, name in ((True, "with the cache"), (False, "without it")):
        generation = hooked.start(prompt, Decoding(), use_cache=use_cache)
        for token_id in greedy[:n]:
            generation = hooked.step(generation)
            if generation.steps[-1].token_id != token_id:
                break
        tokens = [step.token_id for step in generation.steps]
        worst[f"tokens {name}"] = 0.0 if tokens == greedy[:n] else np.inf
        fresh = hooked.trace(generation.token_ids)
        worst[f"trace after steps {name}"] = max(_between(generation.trace(), fresh).values())
    if not hooked.abilities.continues:
        notes.append("runs without the KV cache")
    return worst, notes


def _greedy_by_hand(model: PreTrainedModel, prompt: list[int]) -> list[int]:
    """The most probable token after a plain forward pass over everything, ten times."""
    token_ids = list(prompt)
    with torch.inference_mode():
        for _ in range(NEW_TOKENS):
            logits = model(input_ids=torch.tensor([token_ids]), use_cache=False).logits
            token_ids.append(int(logits[0, -1].argmax()))
    return token_ids[len(prompt) :]


def _generated(model: PreTrainedModel, prompt: list[int]) -> list[int]:
    return model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        do_sample=False,
        max_new_tokens=NEW_TOKENS,
        min_new_tokens=NEW_TOKENS,
    )[0, len(prompt) :].tolist()


def compare(trace: Trace, reference: Reference) -> dict[str, float]:
    """Compare a trace with what transformers returned for the same tokens."""
    maps = _per_layer(reference.attentions, trace)
    return {
        "attention": _worst([trace.attention(i) for i in trace.attention_layers], maps),
        "embedding": _worst([trace.embedding], [reference.embedding]),
        "layer output": _worst(
            [layer.resid_post for layer in trace.layers], reference.layer_outputs
        ),
        "last logits": _worst([trace.last_logits], [reference.last_logits]),
    }


def _per_layer(maps: Sequence[np.ndarray], trace: Trace) -> list[np.ndarray]:
    """Stack the maps of a layer that attends several times, as a trace does."""
    n_layers = len(trace.attention_layers)
    if not n_layers or len(maps) % n_layers:
        return list(maps)
    per_layer = len(maps) // n_layers
    return [np.concatenate(maps[i : i + per_layer]) for i in range(0, len(maps), per_layer)]


def _between(trace: Trace, other: Trace) -> dict[str, float]:
    return {
        "attention": _worst(
            [trace.attention(i) for i in trace.attention_layers],
            [other.attention(i) for i in other.attention_layers],
        ),
        "layers": _worst(
            [layer.resid_post for layer in trace.layers],
            [layer.resid_post for layer in other.layers],
        ),
    }


def _worst(arrays: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> float:
    if [a.shape for a in arrays] != [b.shape for b in others]:
        return np.inf
    return max((difference(a, b) for a, b in zip(arrays, others, strict=True)), default=0.0)


def difference(array: np.ndarray, truth: np.ndarray) -> float:
    """Return the largest difference, relative to the largest number where that is above 1."""
    scale = max(1.0, float(np.abs(truth).max()))
    gap = float(np.abs(array.astype(np.float64) - truth).max()) / scale
    return np.inf if np.isnan(gap) else gap


def _over(worst: dict[str, float]) -> list[str]:
    return [f"{name} off by {gap:.1e}" for name, gap in worst.items() if gap > TOLERANCE]


def _summary(worst: dict[str, float]) -> str:
    return f"{max(worst.values()):.0e}"


def sweep(model_types: Sequence[str]) -> Iterator[tuple[Verdict, float]]:
    """Yield a verdict and the seconds it took for each type; a crash or hang is a verdict too."""
    worker, connection = None, None
    for model_type in model_types:
        if worker is None:
            connection, other = multiprocessing.Pipe()
            worker = multiprocessing.get_context("spawn").Process(
                target=_work, args=(other,), daemon=True
            )
            worker.start()
            other.close()
            connection.recv()
        started = time.perf_counter()
        connection.send(model_type)
        try:
            verdict = connection.recv() if connection.poll(SECONDS_PER_TYPE) else None
        except EOFError:
            verdict = Verdict(model_type, "wrong", "the process crashed")
            worker = None
        if verdict is None:
            verdict = Verdict(model_type, "wrong", f"took over {SECONDS_PER_TYPE} s")
            worker.kill()
            worker = None
        yield verdict, time.perf_counter() - started
    if worker is not None:
        connection.send(None)
        worker.join()


def _work(connection: Any) -> None:
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    connection.send("ready")
    while (model_type := connection.recv()) is not None:
        connection.send(check(model_type))


def as_markdown(verdicts: Sequence[Verdict]) -> str:
    """Return the table of a full run, with the counts on top."""
    kinds = ("exact", "refused", "wrong", "cannot be built tiny")
    counts = ", ".join(f"{sum(v.kind == kind for v in verdicts)} {kind}" for kind in kinds)
    lines = [
        "# Which causal LM types Inlook records exactly",
        "",
        f"transformers {transformers.__version__}, torch {torch.__version__}, "
        f"{len(verdicts)} types: {counts}.",
        "",
        "Each type is a tiny model with random weights, made by `python -m benchmarks.families`.",
        "*Exact*: attention of every layer and head, every layer's output and the last logits",
        f"equal the model's own eager run within {TOLERANCE:.0e} (relative above 1) for "
        f"{PROMPT_LENGTH} tokens in float32; up to {NEW_TOKENS} greedy tokens, with the KV cache",
        "and without, equal those of `generate()` and of plain forward passes; and the trace that",
        "grew with them equals a fresh one. The number is the largest difference. Where rounding",
        "alone was more than that in float32, everything was compared again in float64, and the",
        "table says so.",
        "",
        "| Type | Verdict | Detail |",
        "|---|---|---|",
    ]
    lines += [f"| {v.model_type} | {v.kind} | {v.detail.replace('|', '/')} |" for v in verdicts]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Sweep, print, and write the table after a full run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="comma-separated types")
    arguments = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    model_types = arguments.only.split(",") if arguments.only else CAUSAL_LM_TYPES
    verdicts = []
    for verdict, seconds in sweep(model_types):
        verdicts.append(verdict)
        detail = verdict.detail[:200]
        print(f"{verdict.model_type:26} {verdict.kind:20} {detail} ({seconds:.1f} s)", flush=True)
    for kind in ("exact", "refused", "wrong", "cannot be built tiny"):
        print(f"{sum(v.kind == kind for v in verdicts):4} {kind}")
    if not arguments.only:
        TABLE.write_text(as_markdown(verdicts), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Is Inlook right about every causal LM type of transformers? Run it and read the table.

    python -m benchmarks.families [--only llama,gpt2]

Each type is built tiny with random weights (tiny_models.py), compared with transformers
(exactness.py), and asked all that pages ask (questions.py). Types run in a worker process, so that
one that crashes or hangs costs only itself. A full run writes families.md.
"""

import argparse
import multiprocessing
import os
import re
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

from benchmarks.eager_reference import NoReferenceError
from benchmarks.exactness import NEW_TOKENS, PROMPT_LENGTH, TOLERANCE, differences
from benchmarks.questions import Answer, answers, questions
from model_hooks import HookedModel, InlookError
from tests.tiny_models import (
    CAUSAL_LM_TYPES,
    CannotBuildError,
    build,
    tiny_prompt,
    tiny_tokenizer,
)

TABLE = Path(__file__).with_suffix(".md")
SECONDS_PER_TYPE = 300
MOST_NAMED = 12
"""Types that are named one by one."""
ASKED_LENGTH = 20
"""Tokens of the text that questions are asked about."""


@dataclass(frozen=True)
class Verdict:
    """What became of one type."""

    model_type: str
    kind: str
    """`exact`, `refused`, `wrong` or `cannot be built tiny`."""
    detail: str = ""
    sentences: tuple[tuple[str, str], ...] = ()
    """What it says instead of an answer, in general words, each with the question."""


def check(model_type: str) -> Verdict:
    """Build one type, compare it with transformers, and ask it everything."""
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
        if still := _over(worst):
            return Verdict(model_type, "wrong", ", ".join([*still, *notes]))
        verdict = Verdict(model_type, "exact", "; ".join([_summary(worst), *notes]))
        return asked(verdict, model)
    except InlookError as error:
        return Verdict(model_type, "refused", str(error))
    except NoReferenceError as error:
        return Verdict(model_type, "wrong", f"no reference to compare with: {error}")
    except Exception as error:
        line = next(iter(str(error).splitlines()), "")
        return Verdict(model_type, "wrong", f"{type(error).__name__}: {line}")


def asked(verdict: Verdict, model: PreTrainedModel) -> Verdict:
    """Ask a model everything that pages ask; add what it says instead of an answer."""
    name = verdict.model_type
    hooked = HookedModel.wrap(model, tiny_tokenizer(), name)
    sentences, faults = set(), {}
    for answer in answers(hooked, tiny_prompt(ASKED_LENGTH)):
        if answer.kind == "refused":
            sentences.add((in_general(answer, name), answer.question))
        elif answer.kind != "value":
            faults.setdefault(answer.question, f"{answer.question}: {answer.kind}, {answer.says}")
    if faults:
        return replace(verdict, kind="wrong", detail="; ".join(faults.values()))
    return replace(verdict, sentences=tuple(sorted(sentences)))


def in_general(answer: Answer, model_type: str) -> str:
    """Return a sentence with N for numbers, and without names of models and modules."""
    said = answer.says.replace(f"{model_type} ({model_type})", "This model")
    said = re.sub(r"\b\w+(\.\w+)+\b", "LAYER", said)
    said = re.sub(r"\b\w*Norm\w*", lambda found: _kind_of_norm(found[0]), said)
    return re.sub(r"\d+", "N", said)


def _kind_of_norm(name: str) -> str:
    return name if name in ("LayerNorm", "RMSNorm") else "NORM"


def _over(worst: dict[str, float]) -> list[str]:
    return [f"{name} off by {gap:.1e}" for name, gap in worst.items() if gap > TOLERANCE]


def _summary(worst: dict[str, float]) -> str:
    return f"{max(worst.values()):.0e}"


def sweep(model_types: Sequence[str]) -> Iterator[tuple[Verdict, float]]:
    """Yield a verdict and the seconds it took for each type; a crash or hang is a verdict too."""
    worker, connection = None, None
    for model_type in model_types:
        if worker is None or not worker.is_alive():
            connection, other = multiprocessing.Pipe()
            worker = multiprocessing.get_context("spawn").Process(
                target=_work, args=(other,), daemon=True
            )
            worker.start()
            other.close()
            connection.recv()
        started = time.perf_counter()
        try:
            connection.send(model_type)
            verdict = connection.recv() if connection.poll(SECONDS_PER_TYPE) else None
        except (EOFError, ConnectionError):
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
        "# Which causal LM types Inlook is right about",
        "",
        f"transformers {transformers.__version__}, torch {torch.__version__}, "
        f"{len(verdicts)} types: {counts}.",
        "",
        "Each type is a tiny model with random weights, made by `python -m benchmarks.families`.",
        "*Exact*: attention of every layer and head, every layer's output and the last logits",
        f"equal the model's own eager run within {TOLERANCE:.0e} (relative above 1) for "
        f"{PROMPT_LENGTH} tokens in float32; up to {NEW_TOKENS} greedy tokens, with the KV cache",
        "and without, equal those of `generate()` and of plain forward passes; the trace that grew",
        "with them equals a fresh one; the lens of the last layer and the logit that attribution",
        "splits up are those of the output; an edited and a shortened prompt, a branch and several",
        "tokens more at once, each after what was computed before, have the logits of a plain run;",
        "and so does a text with an attention or a feedforward switched off, cached or not. The",
        "number is the largest difference. Where rounding alone was more than that in float32,",
        "everything was compared again in float64, and the table says so.",
        "",
        f"And all {len(questions())} questions that pages ask of a model, with several values of "
        "every argument and with",
        "parts switched off, ended in numbers or in a sentence; the sentences stand below.",
        "",
        "| Type | Verdict | Detail |",
        "|---|---|---|",
    ]
    lines += [f"| {v.model_type} | {v.kind} | {v.detail.replace('|', '/')} |" for v in verdicts]
    return "\n".join([*lines, *_sentences(verdicts)]) + "\n"


def _sentences(verdicts: Sequence[Verdict]) -> list[str]:
    """The lines of the table of what is said instead of an answer, the most common first."""
    asked, said_of = defaultdict(set), defaultdict(set)
    for verdict in verdicts:
        for sentence, question in verdict.sentences:
            asked[sentence].add(question.rpartition(":")[2])
            said_of[sentence].add(verdict.model_type)
    lines = [
        "",
        "## What is said instead of an answer",
        "",
        "| Sentence | Asked for | Types |",
        "|---|---|---|",
    ]
    for sentence in sorted(said_of, key=lambda one: (-len(said_of[one]), one)):
        types = sorted(said_of[sentence])
        named = ", ".join(types) if len(types) <= MOST_NAMED else f"{len(types)} types"
        lines.append(f"| {sentence} | {', '.join(sorted(asked[sentence]))} | {named} |")
    return lines


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
        detail = verdict.detail[:400]
        print(f"{verdict.model_type:26} {verdict.kind:20} {detail} ({seconds:.1f} s)", flush=True)
    for kind in ("exact", "refused", "wrong", "cannot be built tiny"):
        print(f"{sum(v.kind == kind for v in verdicts):4} {kind}")
    if not arguments.only:
        TABLE.write_text(as_markdown(verdicts), encoding="utf-8")


if __name__ == "__main__":
    main()

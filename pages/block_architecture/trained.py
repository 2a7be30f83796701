"""Which twins are there, how did their training go, and what do they make of the prompt's text?

A twin is a small model that differs from another one in a single choice.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from model_hooks import bundled_models
from model_hooks.bundled import TrainingRun, training_run, training_runs
from model_hooks.host import Run
from model_hooks.read.recorded import encode
from pages.ask.computed import computed
from pages.ask.session import text_so_far
from pages.widgets.quantity import BITS_PER_BYTE, shown
from viz import Curve

NO_TWINS = (
    "The twins (small models that differ in one choice each) are not among the bundled models "
    "here, so there is nothing to compare: `training/README.md` says how to train them."
)
NO_CURVES = (
    "The curves of these training runs are not here: `training/README.md` says how to make them."
)
MEASURE = "bits per byte<br>(lower is better)"
SOURCE = "`models/training.json`"

_encode = computed(encode)


def twins() -> tuple[TrainingRun, ...]:
    """Return how each twin was trained, from the design of 2017 on."""
    return tuple(run for run in training_runs() if run.name.startswith("twin-"))


def names_of_bundled() -> list[str]:
    """Return the twins that can be loaded."""
    return [twin.name for twin in twins() if twin.name in bundled_models()]


def curve_of(name: str, title: str | None = None) -> Curve | None:
    """Return the training loss of a run's first seed in bits per token; None if it is not here."""
    run = training_run(name)
    if run is None or not run.steps:
        return None
    return Curve(title or name, np.array(run.steps), np.array(run.train_losses) / np.log(2))


def final_bits(name: str) -> Float[np.ndarray, "seed"]:
    """Return where each seed of a run ended: bits per byte on held-out text."""
    run = training_run(name)
    return np.array(() if run is None else run.final_bits_per_byte, np.float64)


def mean_of(values: Float[np.ndarray, "seed"], name: str) -> str:
    """Write the mean over the seeds of a run."""
    n_seeds = len(values)
    return shown(BITS_PER_BYTE, values.mean(), name, n_seeds) if n_seeds else "not measured"


def seeds_of(values: Float[np.ndarray, "seed"]) -> str:
    """Write how many seeds there are, and how far apart they ended."""
    if len(values) < 2:
        return "one" if len(values) else ""
    return f"{len(values)}, {np.ptp(values):.3f} apart"


def asked_of_twins(*names: str) -> tuple[Run, ...]:
    """Return the runs of the visitor's prompt through twins, cut to what all of them trained on.

    Raises:
        InlookError: A twin cannot be loaded, or its tokenizer cannot read the prompt.
    """
    length = _trained_length(names)
    return tuple(Run(name, _encode(name, text_so_far())[:length]) for name in names)


def cut_note(*names: str) -> str:
    """Say how much of a long prompt twins read; nothing where that is all."""
    length, n_tokens = _trained_length(names), len(_encode(names[0], text_so_far()))
    if length is None or n_tokens <= length:
        return ""
    return f" Only the first {length} of {n_tokens} tokens."


def _trained_length(names: Sequence[str]) -> int | None:
    lengths = [run.trained_length for name in names if (run := training_run(name)) is not None]
    return min(lengths, default=None)

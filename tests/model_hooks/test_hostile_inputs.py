"""Whatever is handed to model_hooks, every call ends in a value or a sentence."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.hostile_calls import Fault, tried
from model_hooks import PromptError

ROOT = Path(__file__).parents[2]


def hostile(n_inputs, seed):
    """Try inputs in a process of its own, where no types are enforced on the way in."""
    command = [sys.executable, "-m", "benchmarks.hostile_calls", f"--inputs={n_inputs}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*command, f"--seed={seed}"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr[-2000:]


def test_a_few_hundred_inputs_end_in_values_or_sentences():
    code, said = hostile(200, seed=0)
    assert code == 0, said
    assert "500" not in said.splitlines()[-1]  # both kinds of ends were met


@pytest.mark.slow
@pytest.mark.parametrize("seed", [10, 11])
def test_ten_thousand_inputs_do_so_too(seed):
    code, said = hostile(10_000, seed)
    assert code == 0, said


def _fails(_):
    raise KeyError("x")


def _says(text):
    def call(_):
        raise PromptError(text)

    return call


@pytest.mark.parametrize(
    ("call", "end"),
    [
        (lambda _: 1, "value"),
        (lambda _: iter([np.zeros(3)]), "value"),
        (_says("This is a sentence."), "sentence"),
        (_says(""), Fault),
        (_says("one\ntwo"), Fault),
        (_fails, Fault),
        (lambda _: [np.array([0.0, np.nan])], Fault),
        (lambda _: sys.exit(0), Fault),
    ],
)
def test_anything_else_is_noticed(call, end):
    found = tried(call, None, "a call", 0)
    assert found == end or (end is Fault and isinstance(found, Fault))

"""What the app shows of training is what training measured."""

import csv
import json
import pickle
from pathlib import Path

import pytest

from model_hooks.bundled import training_run, training_runs
from training import shown

TRAINING = Path(__file__).parents[2] / "training"


def test_the_file_is_what_the_script_would_write_now():
    assert json.loads(shown.SHOWN.read_text(encoding="utf-8")) == shown.shown()


@pytest.mark.parametrize(
    "path", sorted((TRAINING / "results").glob("*.json")), ids=lambda p: p.stem
)
def test_measured_bits_are_those_of_the_results(path):
    measured = json.loads(path.read_text(encoding="utf-8"))
    assert training_run(path.stem).bits_per_byte == measured["bits_per_byte"]


@pytest.mark.parametrize("name", ["storyteller", "twin-gqa", "adam-post-norm-warmup"])
def test_losses_and_ends_are_those_of_the_curves(name):
    run = training_run(name)
    curves = []
    for path in sorted((TRAINING / "curves").glob(f"{name}-seed*.csv")):
        with path.open(newline="") as file:
            curves.append(list(csv.DictReader(file)))
    assert [*map(float, (row["step"] for row in curves[0]))] == [*run.steps]
    assert [*map(float, (row["train_loss"] for row in curves[0]))] == [*run.train_losses]
    ends = [[row["valid_bits_per_byte"] for row in curve][-1] for curve in curves]
    assert [*map(float, ends)] == [*run.final_bits_per_byte]


def test_twins_say_their_one_change_and_their_length():
    recipes = json.loads((TRAINING / "configs" / "twins.json").read_text(encoding="utf-8"))
    for name, recipe in recipes["recipes"].items():
        if name.startswith("twin-"):
            run = training_run(name)
            assert (run.change, run.compared_with) == (recipe["change"], recipe["compared_with"])
            assert run.trained_length == recipes["train"]["sequence_length"]


def test_the_storyteller_was_trained_up_to_its_context():
    config = json.loads((shown.MODELS / "storyteller" / "config.json").read_text(encoding="utf-8"))
    assert training_run("storyteller").trained_length == config["max_position_embeddings"]


def test_what_is_known_is_plain():
    assert pickle.loads(pickle.dumps(training_runs())) == training_runs()


def test_another_model_has_no_run():
    assert training_run("gpt2") is None

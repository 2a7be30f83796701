import csv
import errno
import os
import sys

import pytest
import torch

from training import train
from training.corpus import read_documents
from training.recipes import TrainingError, load_recipe, recipes
from training.train import Run, learning_rate_scale


def new_run(recipe, text_file, folder) -> Run:
    texts = read_documents(text_file)
    return Run(recipe, texts, texts[:2], folder, seed=0)


def fill_disk(monkeypatch):
    def fsync(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


def test_training_lowers_the_loss_and_keeps_its_curve(recipe, text_file, tmp_path):
    recipe["train"]["steps"] = 40
    run = new_run(recipe, text_file, tmp_path / "run")
    run.train(log_every=10, valid_every=20)
    with run.curve.open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [10, 20, 30, 40]
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"]) - 1
    assert rows[-1]["valid_bits_per_byte"]
    assert int(rows[-1]["tokens"]) == 40 * 64


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(recipe, text_file, tmp_path):
    whole = new_run(recipe, text_file, tmp_path / "whole")
    whole.train(log_every=1)
    first = new_run(recipe, text_file, tmp_path / "stopped")
    step = first._train_step

    def stop_after_three():
        first.stopped = first.step == 2
        return step()

    first._train_step = stop_after_three
    first.train(log_every=1)
    assert first.step == 3
    second = new_run(recipe, text_file, tmp_path / "stopped")
    assert second.resume()
    second.train(log_every=1)
    for mine, other in zip(second.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-5)
    assert [line.split(",")[0] for line in second.curve.read_text().split()] == ["step", *"123456"]


def test_a_full_disk_keeps_the_last_good_checkpoint(recipe, text_file, tmp_path, monkeypatch):
    run = new_run(recipe, text_file, tmp_path / "run")
    run.save()
    good = run.checkpoint.read_bytes()
    run._train_step()
    with monkeypatch.context() as patch:
        fill_disk(patch)
        with pytest.raises(TrainingError, match=r"No space left.*last checkpoint is kept"):
            run.save()
    assert run.checkpoint.read_bytes() == good
    assert not list(run.folder.glob("*.tmp"))
    assert new_run(recipe, text_file, run.folder).resume()


def test_a_stop_in_the_middle_of_a_checkpoint_leaves_the_one_before(recipe, text_file, tmp_path):
    run = new_run(recipe, text_file, tmp_path / "run")
    run.save()
    (run.folder / "checkpoint.pt.tmp").write_bytes(run.checkpoint.read_bytes()[:1000])
    assert new_run(recipe, text_file, run.folder).resume()
    assert not (run.folder / "checkpoint.pt.tmp").exists()


def test_a_damaged_checkpoint_gets_one_sentence(recipe, text_file, tmp_path):
    run = new_run(recipe, text_file, tmp_path / "run")
    run.save()
    run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:1000])
    with pytest.raises(TrainingError, match=r"is damaged\. Delete it"):
        new_run(recipe, text_file, run.folder).resume()


def test_a_checkpoint_of_another_architecture_is_refused(recipe, text_file, tmp_path):
    new_run(recipe, text_file, tmp_path / "run").save()
    recipe["model"]["intermediate_size"] = 48
    with pytest.raises(TrainingError, match="another architecture"):
        new_run(recipe, text_file, tmp_path / "run").resume()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no-such-recipe", "--text", "x"], "There is no recipe no-such-recipe. Known recipes: "),
        (["RECIPE", "--text", "missing.txt"], "There is no file missing.txt"),
        (["RECIPE", "--text", "SHORT"], "shorter than one context of 16"),
    ],
)
def test_the_command_line_ends_in_one_sentence(
    arguments, sentence, recipe_file, tmp_path, monkeypatch
):
    short = tmp_path / "short.txt"
    short.write_text("Once.")
    names = {"RECIPE": str(recipe_file), "SHORT": str(short)}
    words = [names.get(word, word) for word in arguments]
    monkeypatch.setattr(sys, "argv", ["train", *words, "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit, match=sentence) as caught:
        train.main()
    assert "\n" not in str(caught.value)


def test_the_learning_rate_warms_up_stays_and_falls_to_zero():
    scales = [learning_rate_scale(step, 10, 2, 4) for step in range(11)]
    assert scales == [0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0]


def test_every_twin_differs_from_its_neighbour_in_little_else():
    for name, recipe in recipes().items():
        if not name.startswith("twin-") or recipe["compared_with"] is None:
            continue
        other = load_recipe(recipe["compared_with"])
        for part in ("tokenizer", "train"):
            assert recipe[part] == other[part], (name, part)
        if recipe["model_type"] == other["model_type"]:
            different = {
                key for key in recipe["model"] if recipe["model"][key] != other["model"].get(key)
            }
            assert len(different) == 1, (name, different)

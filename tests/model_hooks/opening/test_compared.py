"""Weights that are not those of the files are noticed, and a failing load leaves nothing behind."""

import gc
import json
import os
import shutil
import subprocess
import sys
import threading

import pytest
import torch
from torch.nn import init

from model_hooks import BrokenModelError, InlookError, load_model, loading
from pages.ask.opening import open_frozen


@pytest.fixture
def disturbed(monkeypatch):
    """Let one weight be made up while a model is loaded; return its name."""
    key, load = "model.layers.1.self_attn.q_proj.weight", loading._load_weights

    def disturbed(*args):
        model = load(*args)
        with torch.no_grad():
            init.normal_(model.get_parameter(key))
        return model

    monkeypatch.setattr(loading, "_load_weights", disturbed)
    return key


def test_weights_that_are_not_the_files_are_noticed(disturbed, folder):
    with pytest.raises(BrokenModelError, match=disturbed):
        load_model(str(folder))


@pytest.fixture
def folder(tmp_path, tokenizer, tiny_model):
    """A folder with a tiny model."""
    tiny_model.save_pretrained(tmp_path / "tiny")
    tokenizer.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_a_model_in_another_number_format_than_its_file_is_as_it_should_be(folder):
    loaded = load_model(str(folder), dtype=torch.bfloat16)
    assert loaded.model.dtype == torch.bfloat16


def global_state():
    """What all models of the process share."""
    return {
        "dtype": torch.get_default_dtype(),
        "init": [getattr(init, name) for name in dir(init) if name.endswith("_")],
        "grad": torch.is_grad_enabled(),
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0,
    }


def damage(folder, kind):
    """Make a good checkpoint one that fails to load, each kind at another point."""
    weights, config = folder / "model.safetensors", folder / "config.json"
    if kind == "cut off":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif kind == "not numbers":
        data = weights.read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        weights.write_bytes(data[:start] + b"\xff" * (len(data) - start))
    else:
        change = {"wider": {"hidden_size": 256}, "unknown": {"hidden_act": "no such thing"}}[kind]
        config.write_text(json.dumps(json.loads(config.read_text()) | change))
    return str(folder)


@pytest.mark.parametrize("kind", ["cut off", "not numbers", "wider", "unknown"])
def test_a_failing_load_leaves_nothing_behind(tmp_path, folder, kind):
    good = shutil.copytree(folder, tmp_path / "good")
    load_model(str(good))
    before = global_state()
    with pytest.raises(InlookError):
        load_model(damage(folder, kind))
    assert global_state() == before
    load_model(str(good))


def test_a_model_that_does_not_exist_leaves_the_garbage_collector_as_it_was(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    gc.freeze()
    before = gc.get_freeze_count()
    with pytest.raises(InlookError):
        open_frozen("./no/such/folder")
    assert gc.get_freeze_count() > before / 2


RUN = """
import sys
from model_hooks import load_model
model = load_model(sys.argv[1])
open(sys.argv[1] + "/model.safetensors", "wb").close()
print(len(model.trace("the cat sat").last_logits))
"""


@pytest.mark.slow
def test_a_file_that_is_cut_off_while_its_model_is_used_harms_nobody(folder):
    """In a process of its own: it would be killed."""
    command = [sys.executable, "-c", RUN, str(folder)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": "."}, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert int(done.stdout) > 0

"""A few words in a file do not fill the memory."""

import json
import os
import shutil

import pytest

from model_hooks import BrokenModelError, bundled_models, load_model, load_tokenizer
from model_hooks.opening.bounds import growth


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(bundled_models()["twin-mqa"], tmp_path / "model")


def changed(path, **change):
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def replacing(pattern, content):
    return {"type": "Replace", "pattern": pattern, "content": content}


@pytest.mark.parametrize("load", [load_model, load_tokenizer])
@pytest.mark.parametrize("change", [{"num_labels": 10**9}, {"text_config": {"num_labels": 1e18}}])
def test_labels_without_end_are_refused(folder, load, change):
    changed(folder / "config.json", **change)
    with pytest.raises(BrokenModelError, match="labels, which no model has"):
        load(str(folder))


@pytest.mark.parametrize("load", [load_model, load_tokenizer])
@pytest.mark.parametrize("part", ["normalizer", "decoder"])
def test_replacements_that_explode_are_refused(folder, load, part):
    kind, steps = {"normalizer": ("Sequence", "normalizers"), "decoder": ("Sequence", "decoders")}[
        part
    ]
    exploding = [replacing({"String": "a"}, "a" * 16) for _ in range(8)]
    changed(folder / "tokenizer.json", **{part: {"type": kind, steps: exploding}})
    with pytest.raises(BrokenModelError, match="times as long"):
        load(str(folder))


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "tokenizer.json"])
def test_a_text_file_that_is_too_large_is_not_read(folder, file):
    os.truncate(folder / file, 300 * 2**20)  # of zeros: it takes no room on the disk
    for load in (load_model, load_tokenizer):
        with pytest.raises(BrokenModelError, match=rf"{file} .* takes 315 MB"):
            load(str(folder))


def test_parts_without_end_are_not_built(folder):
    heads = {"num_attention_heads": 10**6, "num_key_value_heads": 10**6, "hidden_size": 10**6}
    sizes = {"model_type": "stablelm", "num_hidden_layers": 1, "qk_layernorm": True}
    changed(folder / "config.json", **sizes, **heads)
    with pytest.raises(BrokenModelError, match="describes another model than its weights"):
        load_model(str(folder))


@pytest.mark.parametrize("key", ["num_hidden_layers", "n_layer", "num_mtp_layers"])
def test_layers_without_end_are_refused_by_whatever_name(folder, key):
    changed(folder / "config.json", **{key: 10**9})
    with pytest.raises(BrokenModelError, match=f"it says {key} = 1000000000"):
        load_model(str(folder))


@pytest.mark.parametrize(
    ("step", "times"),
    [
        (None, 1),
        ({"type": "NFC"}, 1),
        (replacing({"String": " "}, "▁"), 1),
        (replacing({"String": "``"}, '"'), 1),
        (replacing({"Regex": "x+"}, "abc"), 3),
        ({"type": "Sequence", "normalizers": [replacing({"String": "a"}, "bb")] * 3}, 8),
        (replacing({}, 7), 1),
    ],
)
def test_growth_is_the_product_of_all_replacements(step, times):
    assert growth(step) == times


def test_every_bundled_model_is_within_bounds():
    for folder in bundled_models().values():
        assert growth(json.loads((folder / "tokenizer.json").read_text())) == 1

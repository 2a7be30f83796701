"""A folder that lost or changed a file loads as before, or says which file in one sentence."""

import json
import shutil

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from model_hooks import BrokenModelError, InlookError, load_model
from tests.refusals import said_of

IDS = [1, 2, 3]
TEXT = 'hello !"#'
LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
SMALL = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 32,
    "pad_token_id": None,
}


def byte_level(n_merges):
    """Return a vocabulary of bytes and some pairs, and the merges that make the pairs."""
    merges = [(LETTERS[i], LETTERS[i + 1]) for i in range(n_merges)]
    pieces = [*LETTERS, *map("".join, merges)]
    return {piece: i for i, piece in enumerate(pieces)}, merges


def save(folder, family, n_merges, sizes, *, two_files=False, shard="1GB"):
    torch.manual_seed(0)
    vocab, merges = byte_level(n_merges)
    config = AutoConfig.for_model(
        family, vocab_size=len(vocab), bos_token_id=None, eos_token_id=None, **sizes
    )
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(folder, max_shard_size=shard)
    if two_files:
        (folder / "vocab.json").write_text(json.dumps(vocab))
        (folder / "merges.txt").write_text("\n".join(map(" ".join, merges)) + "\n")
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "GPT2Tokenizer"}')
    else:
        words = Tokenizer(models.BPE(vocab, merges))
        words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        words.decoder = decoders.ByteLevel()
        PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("good")
    gpt2 = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
    return {
        "llama": save(home / "llama", "llama", 40, SMALL),
        "gpt2": save(home / "gpt2", "gpt2", 30, gpt2, two_files=True, shard="15KB"),
        "mixtral": save(home / "mixtral", "mixtral", 20, SMALL, shard="100KB"),
    }


@pytest.fixture
def changed(folders, tmp_path):
    return shutil.copytree(folders["llama"], tmp_path / "changed")


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def harms(folder, others):
    """Yield each file with what can befall it: a word and what it is then, None for gone."""
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        yield path.name, "removed", None
        yield path.name, "cut", whole[: len(whole) // 2]
        yield path.name, "emptied", b""
        for other in others:
            if (other / path.name).exists() and path.name != "generation_config.json":
                yield path.name, f"from {other.name}", (other / path.name).read_bytes()


@pytest.mark.parametrize("family", ["llama", "gpt2", "mixtral"])
def test_each_harmed_file_is_named_or_changes_nothing(family, folders, tmp_path):
    good = load_model(str(folders[family]))
    logits, ids = good.trace(IDS).last_logits, good.encode(TEXT)
    others = [folder for name, folder in folders.items() if name != family]
    for file, how, data in harms(folders[family], others):
        harmed = shutil.copytree(folders[family], tmp_path / f"{file} {how}")
        (harmed / file).unlink()
        if data is not None:
            (harmed / file).write_bytes(data)
        try:
            loaded = load_model(str(harmed))
        except InlookError as error:
            said = str(error).replace(str(harmed), "FOLDER")
            assert not said.startswith("transformers cannot open FOLDER"), (file, how, said)
            stem = "vocab" if file == "merges.txt" else file.split(".")[0].split("-")[0]
            told = stem in said or "tokenizer" in said
            assert told or "describes" in said, (file, how, said)
        else:
            np.testing.assert_allclose(loaded.trace(IDS).last_logits, logits, atol=1e-5)
            assert loaded.encode(TEXT) == ids, (file, how)


def test_shapes_of_another_config_are_named(changed):
    edit(changed / "config.json", intermediate_size=24)
    said = said_of(changed)
    assert "(16, 16)" in said or "(16, 24)" in said


def test_a_config_with_fewer_layers_than_weights_is_refused(changed):
    edit(changed / "config.json", num_hidden_layers=1)
    assert "model.layers.1." in said_of(changed)


@pytest.mark.parametrize("layers", [10**9, 3000])
def test_a_config_of_a_huge_model_is_refused_before_it_is_built(changed, layers):
    edit(changed / "config.json", num_hidden_layers=layers)
    assert str(layers) in said_of(changed)


def test_a_config_wider_than_the_file_is_refused(changed):
    edit(changed / "config.json", vocab_size=10**9)
    assert "describes another model than its weights" in said_of(changed)


@pytest.mark.parametrize("value", ["wide", -1, 0, None, [1]])
def test_a_config_with_an_impossible_size_is_one_sentence(changed, value):
    edit(changed / "config.json", hidden_size=value)
    assert "damaged" not in said_of(changed)


def test_weights_outside_the_folder_are_not_opened(changed, folders):
    elsewhere = str(folders["mixtral"] / "config.json")
    (changed / "model.safetensors").unlink()
    for target in (elsewhere, "../mixtral/config.json"):
        index = {"metadata": {}, "weight_map": {"lm_head.weight": target}}
        (changed / "model.safetensors.index.json").write_text(json.dumps(index))
        assert "outside its folder" in said_of(changed)


def test_a_link_out_of_the_folder_is_not_followed(changed, folders):
    (changed / "model.safetensors").unlink()
    (changed / "model.safetensors").symlink_to(folders["llama"] / "model.safetensors")
    assert "outside its folder" in said_of(changed)


def test_a_link_to_nothing_is_named(changed):
    (changed / "model.safetensors").unlink()
    (changed / "model.safetensors").symlink_to(changed / "gone")
    assert "model.safetensors is missing" in said_of(changed)


def test_a_package_that_is_missing_is_named(changed):
    quantised = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    edit(changed / "config.json", quantization_config=quantised)
    assert "pip install bitsandbytes" in said_of(changed)


def test_a_type_that_is_not_known_is_named(changed):
    edit(changed / "config.json", model_type="no-such-type")
    assert "no-such-type" in said_of(changed)
    edit(changed / "config.json", auto_map={"AutoModelForCausalLM": "own.Code"})
    assert "never runs" in said_of(changed)


def test_weights_that_are_not_numbers_are_named(changed):
    whole = (changed / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    (changed / "model.safetensors").write_bytes(whole[:start] + b"\xff" * (len(whole) - start))
    assert "NaN" in said_of(changed)


def test_weights_beside_those_that_are_opened_take_no_memory(changed, monkeypatch):
    size = (changed / "model.safetensors").stat().st_size
    monkeypatch.setattr("model_hooks.loading.free_bytes", lambda device: 1.5 * size)
    shutil.copy(changed / "model.safetensors", changed / "consolidated.safetensors")
    assert load_model(str(changed), device="cpu").info.dtype == "float32"


def test_a_dtype_in_the_config_does_not_make_a_file_smaller(changed, monkeypatch):
    size = (changed / "model.safetensors").stat().st_size  # in float32
    monkeypatch.setattr("model_hooks.loading.free_bytes", lambda device: 0.45 * size)
    for dtype in ("float32", "float64"):
        edit(changed / "config.json", dtype=dtype)
        assert "needs about" in said_of(changed)


@pytest.mark.parametrize("data", [b"", b"\x0a\x05nothing", b"no protobuf at all"])
def test_a_sentencepiece_file_that_is_not_whole_is_no_matter_of_tiktoken(changed, data):
    (changed / "tokenizer.json").unlink()
    (changed / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}')
    (changed / "tokenizer.model").write_bytes(data)
    with pytest.raises(BrokenModelError, match="tokenizer") as error:
        load_model(str(changed))
    assert "tiktoken" not in str(error.value)

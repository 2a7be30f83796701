"""What is loaded again equals what was saved, and no other file becomes a trace."""

import json
import struct

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import torch

from model_hooks import (
    AblateHead,
    AttentionPattern,
    Decoding,
    HookedModel,
    Knockout,
    TraceFileError,
    load_trace,
    save_trace,
)
from model_hooks.read.saved import KINDS, trace_file, trace_file_bytes
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

STATES = ("query", "key", "value", "resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")


def assert_equal(found, saved):
    """Every array has the same bytes, type and shape; everything else is equal."""
    assert (found.tokens, found.interventions) == (saved.tokens, saved.interventions)
    assert found.next_tokens == saved.next_tokens
    same_array(found.token_ids, saved.token_ids)
    same_array(found.last_logits, saved.last_logits)
    for one, other in zip(found.layers, saved.layers, strict=True):
        for name in STATES:
            same_array(getattr(one, name), getattr(other, name))
        for name in ("layer", "scale", "softcap", "n_heads", "has_attention"):
            assert getattr(one, name) == getattr(other, name)
        if other.has_attention:
            same_array(one.attention, other.attention)
            same_array(one.readable, other.readable)
            same_array(one.rows(1, 3), other.rows(1, 3))


def same_array(found, saved):
    if saved is None:
        assert found is None
        return
    assert (found.dtype, found.shape) == (saved.dtype, saved.shape)
    assert found.tobytes() == saved.tobytes()
    assert not found.flags.writeable


def again(model, trace, tmp_path):
    save_trace(model, trace, tmp_path / "a.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
    return load_trace(tmp_path / "a.safetensors")


def test_what_is_loaded_equals_what_was_saved(hooked, trace, tmp_path):
    assert_equal(again(hooked, trace, tmp_path), trace)


def test_a_trace_with_changes_keeps_them(hooked, tmp_path):
    changes = (AblateHead(1, 0), Knockout(3, 1), AttentionPattern("window", 2, layers=(0, 1)))
    trace = hooked.trace("the cat sat on the mat", changes)
    found = again(hooked, trace, tmp_path)
    assert_equal(found, trace)
    assert_equal(hooked.run_again(found), hooked.run_again(trace))


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_text_that_was_written_step_by_step_is_saved_too(hooked, tmp_path, use_cache):
    generation = hooked.start("the cat", Decoding(), use_cache)
    for token_id in (3, 4, 1):
        generation = hooked.step(generation, choose=token_id)
    assert_equal(again(hooked, generation.trace(), tmp_path), generation.trace())


@pytest.mark.parametrize("family", ["bloom", "gemma2", "gpt_oss", "jamba"])
@pytest.mark.filterwarnings("ignore")  # transformers warns about its own internals
def test_every_kind_of_attention_is_saved(family, tmp_path):
    model = HookedModel.wrap(build(family), tiny_tokenizer(), family)
    trace = model.trace(tiny_prompt(12))
    assert_equal(again(model, trace, tmp_path), trace)


def test_a_model_can_be_asked_about_a_loaded_trace(hooked, trace, tmp_path):
    found = again(hooked, trace, tmp_path)
    same_array(hooked.logit_lens(found), hooked.logit_lens(trace))
    same_array(hooked.neurons(found, 0).activation, hooked.neurons(trace, 0).activation)


def test_saving_keeps_no_weights_that_nobody_looked_at(hooked, trace):
    assert len(trace_file(hooked, trace)) > trace_file_bytes(trace)
    assert all("attention" not in vars(layer) for layer in trace.layers)


def test_the_library_of_the_format_alone_reads_what_everything_is(hooked, trace, tmp_path):
    save_trace(hooked, trace, tmp_path / "a.safetensors")
    with safetensors.safe_open(tmp_path / "a.safetensors", framework="numpy") as file:
        told, names = file.metadata(), list(file.keys())
        weights = file.get_tensor("layers.0.attention")
    np.testing.assert_array_equal(weights, trace.layers[0].attention)
    assert told["model"] == "tiny"
    assert told["prompt"] == "the cat sat on the mat"
    assert json.loads(told["tokens"]) == list(trace.tokens)
    assert json.loads(told["versions"])["torch"] == torch.__version__
    tensors = json.loads(told["tensors"])
    assert set(tensors) == set(names)
    assert tensors["layers.0.attention"]["axes"] == "head query key"
    assert all({"axes", "unit", "what"} == set(one) for one in tensors.values())
    assert {name.rpartition(".")[2] for name in names} <= set(KINDS)


@pytest.fixture
def whole(hooked, trace):
    """The arrays and the metadata of a good file."""
    data = trace_file(hooked, trace)
    n = struct.unpack("<Q", data[:8])[0]
    return safetensors.numpy.load(data), json.loads(data[8 : 8 + n])["__metadata__"]


def said_of(path):
    with pytest.raises(TraceFileError) as error:
        load_trace(path)
    said = str(error.value)
    assert said.endswith(".")
    assert "\n" not in said
    return said


def said_of_changed(whole, tmp_path, arrays=None, **told):
    safetensors.numpy.save_file(
        {name: array for name, array in {**whole[0], **(arrays or {})}.items() if len(array.shape)},
        tmp_path / "a.safetensors",
        {**whole[1], **told},
    )
    return said_of(tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ["none.safetensors", ".", "a\0b", "\ud800", "x" * 5000])
def test_no_file_is_one_sentence(tmp_path, name):
    said_of(tmp_path / name)


def test_damaged_and_foreign_files_are_one_sentence(hooked, trace, tmp_path):
    path, data = tmp_path / "a.safetensors", trace_file(hooked, trace)
    for damaged in (b"", b"PK\x03\x04", data[:-1], data[:100], b"\xff" * 8 + data, data[8:]):
        path.write_bytes(damaged)
        assert "damaged" in said_of(path)
    safetensors.numpy.save_file({"a": np.zeros(3)}, path)
    assert "no trace" in said_of(path)


def test_a_pickle_is_never_opened(tmp_path):
    torch.save({"format": "inlook.trace"}, tmp_path / "a.safetensors")
    assert "damaged" in said_of(tmp_path / "a.safetensors")


def test_another_format_says_which(whole, tmp_path):
    said = said_of_changed(whole, tmp_path, format_version="2")
    assert "'2'" in said
    assert "format 1" in said


def test_a_file_that_is_larger_than_the_memory_is_refused(hooked, trace, tmp_path, monkeypatch):
    save_trace(hooked, trace, tmp_path / "a.safetensors")
    monkeypatch.setattr("model_hooks.read.loaded.free_bytes", lambda device: 1000.0)
    assert "memory" in said_of(tmp_path / "a.safetensors")


NOTHING = np.zeros(())
"""Stands for an array that is missing."""


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("token_ids", NOTHING),
        ("token_ids", np.zeros(6)),
        ("token_ids", np.zeros(5, np.int64)),
        ("last_logits", np.zeros((2, 2))),
        ("layers.1.resid_pre", NOTHING),
        ("layers.1.resid_pre", np.zeros((6, 3), np.float32)),
        ("layers.0.attention", NOTHING),
        ("layers.0.attention", np.zeros((2, 6, 5), np.float32)),
        ("layers.0.query", np.zeros((2, 6), np.float32)),
        ("masks.0.mask", NOTHING),
        ("masks.0.mask", np.zeros((6, 6))),
        ("masks.0.mask", np.ones((5, 6), np.bool_)),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(whole, tmp_path, name, array):
    assert "no whole trace" in said_of_changed(whole, tmp_path, {name: array})


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tokens", "["),
        ("tokens", "[" * 100_000),
        ("tokens", '"the"'),
        ("tokens", "[1, 2, 3, 4, 5, 6]"),
        ("tokens", '["the"]'),
        ("next_tokens", "{}"),
        ("layers", "[]"),
        ("layers", "[1, 2]"),
        ("layers", '[{"mask": "0"}, {}]'),
        ("layers", '[{"mask": 7}, {}]'),
        ("layers", '[{"mask": 0, "scale": "1"}, {}]'),
        ("interventions", "7"),
        ("interventions", "[7]"),
        ("interventions", '[{"intervention": "no such"}]'),
        ("interventions", '[{"intervention": "attention_pattern", "kind": "spiral"}]'),
        ("interventions", '[{"intervention": "attention_pattern", "a": 1}]'),
    ],
)
def test_metadata_that_makes_no_sense_is_refused(whole, tmp_path, name, told):
    assert "no whole trace" in said_of_changed(whole, tmp_path, **{name: told})


def test_what_cannot_be_written_is_one_sentence(hooked, trace, tmp_path):
    with pytest.raises(TraceFileError, match="could not be written"):
        save_trace(hooked, trace, tmp_path / "no such folder" / "a.safetensors")

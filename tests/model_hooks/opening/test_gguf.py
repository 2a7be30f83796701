"""A GGUF file opens as the model whose numbers it holds, or says in one sentence why not."""

import json
import os
import shutil
import time

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind

from model_hooks import ModelNotFoundError, load_model
from model_hooks import load_tokenizer as open_tokenizer
from model_hooks.opening import unpacked
from tests.gguf_writing import MERGES, N_VOCAB, tiny, write_gguf
from tests.refusals import said_of

IDS = [5, 80, 200, 258, 3]
pytestmark = pytest.mark.filterwarnings("ignore:.*GGUF.*")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keep converted copies of this test alone."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "inlook" / "models"


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    """A file and the plain model whose numbers it holds."""
    path = tmp_path_factory.mktemp("files") / "tiny.Q8_0.gguf"
    model = tiny("llama")
    write_gguf(path, model, Kind.Q8_0)
    return path, model


def last_logits(model):
    with torch.no_grad():
        return model(torch.tensor([IDS])).logits[0, -1].numpy()


def opened_as_written(model, kind, folder):
    """Write a model, compare what the file computes with the model's numbers as they lie in it."""
    write_gguf(folder / "model.gguf", model, kind)
    hooked = load_model(str(folder / "model.gguf"))
    logits = hooked.trace(IDS).last_logits
    np.testing.assert_allclose(logits, last_logits(model), rtol=1e-4, atol=2e-4)
    return hooked, logits


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("llama", Kind.F16),
        ("llama", Kind.Q4_0),
        ("qwen2", Kind.Q4_1),
        ("qwen2", Kind.Q5_0),
        ("gpt2", Kind.Q8_0),
        ("gpt2", Kind.F32),
        ("qwen3", Kind.Q8_0),
        pytest.param("mistral", Kind.Q8_0, marks=pytest.mark.slow),
        pytest.param("gemma2", Kind.Q8_0, marks=pytest.mark.slow),
        pytest.param("gemma3_text", Kind.Q8_0, marks=pytest.mark.slow),
        pytest.param("phi3", Kind.Q8_0, marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_gguf_file_computes_what_its_numbers_do(family, kind, tmp_path):
    model = tiny(family)
    before = last_logits(model)
    hooked, logits = opened_as_written(model, kind, tmp_path)
    if kind not in (Kind.F32, Kind.F16):
        assert np.abs(logits - before).max() > 0.004  # the numbers of the file, no others
        assert hooked.info.quantisation == kind.name
    else:
        assert hooked.info.quantisation is None
    assert hooked.info.family == ("llama" if family == "mistral" else family)  # as the file says
    assert hooked.info.dtype == "float32"


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("llama", Kind.Q4_K),
        pytest.param("llama", Kind.Q5_K, marks=pytest.mark.slow),
        pytest.param("llama", Kind.Q6_K, marks=pytest.mark.slow),
        pytest.param("mistral", Kind.Q4_K, marks=pytest.mark.slow),
        pytest.param("qwen3", Kind.Q4_K, marks=pytest.mark.slow),
        pytest.param("gemma3_text", Kind.Q6_K, marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_blocks_of_256_weights_are_the_numbers_that_gguf_reads_in_them(family, kind, tmp_path):
    model = tiny(family, 256, head_dim=64, query_pre_attn_scalar=64)
    hooked, _ = opened_as_written(model, kind, tmp_path)
    assert hooked.info.quantisation == kind.name


def rope(kind, base=100.0, **more):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": base, **more}}


LONG = {
    "short_factor": [1 + i / 10 for i in range(8)],
    "long_factor": [1 + i for i in range(8)],
    "original_max_position_embeddings": 3,
}
LLAMA3 = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
LAYERED = {"sliding_attention": rope("default")["rope_parameters"]}
LAYERED |= {"full_attention": rope("linear", factor=8.0)["rope_parameters"]}


@pytest.mark.parametrize(
    ("family", "said"),
    [
        ("llama", rope("linear", factor=4.0)),
        ("llama", rope("llama3", base=500_000.0, **LLAMA3)),
        pytest.param(
            "qwen2",
            rope("yarn", factor=4.0, original_max_position_embeddings=16),
            marks=pytest.mark.slow,
        ),
        pytest.param("phi3", rope("longrope", **LONG) | {"original_max_position_embeddings": 3}),
        pytest.param("phi3", rope("default", partial_rotary_factor=0.5), marks=pytest.mark.slow),
        pytest.param("phi3", {"sliding_window": 2}, marks=pytest.mark.slow),
        pytest.param(
            "gemma2",
            {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "gemma2",  # the one that is told by its layers
            {"num_hidden_layers": 46, "query_pre_attn_scalar": 16},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "gemma3_text",
            {"rope_parameters": LAYERED, "num_hidden_layers": 6},
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value,
)
def test_what_the_file_says_of_its_shape_and_rotation_is_not_dropped(family, said, tmp_path):
    model = tiny(family, **said)
    write_gguf(tmp_path / "model.gguf", model, Kind.F32)
    hooked = load_model(str(tmp_path / "model.gguf"))
    np.testing.assert_allclose(
        hooked.trace(IDS).last_logits, last_logits(model), rtol=1e-4, atol=2e-4
    )
    ways, own = hooked.model.config.rope_parameters, model.config.rope_parameters
    ways, own = ways.get("full_attention", ways), own.get("full_attention", own)
    assert ways.get("rope_type") == own.get("rope_type")


def test_its_tokenizer_template_and_ends_are_those_of_the_file(llama):
    path, _ = llama
    hooked = load_model(str(path))
    assert [len(hooked.token_strings([i])[0]) for i in hooked.encode("the cat")] == [3, 1, 3]
    assert hooked.encode("the")[0] == N_VOCAB - 1 - len(MERGES) + 1
    assert hooked.decode(hooked.encode_chat("hi")) == "[user]hi[assistant]"
    assert hooked.eos_token_ids == {N_VOCAB - 1, 0}
    assert open_tokenizer(str(path)).encode("the cat") == hooked.encode("the cat")


def test_a_folder_with_one_file_is_that_file_and_with_two_asks_which(llama, tmp_path):
    path, _ = llama
    shutil.copy(path, tmp_path / "a.gguf")
    assert load_model(str(tmp_path)).info.quantisation == "Q8_0"
    shutil.copy(path, tmp_path / "b.gguf")
    with pytest.raises(ModelNotFoundError, match=r"holds 2 GGUF files: name one.*/a\.gguf"):
        load_model(str(tmp_path))
    assert load_model(f"{tmp_path}:b.gguf").info.quantisation == "Q8_0"
    with pytest.raises(ModelNotFoundError, match=r"There is no c\.gguf"):
        load_model(f"{tmp_path}:c.gguf")


def test_the_second_time_the_kept_copy_is_opened(llama, cache, monkeypatch):
    path, model = llama
    load_model(str(path))
    monkeypatch.setattr(unpacked, "_convert", pytest.fail)
    assert unpacked.is_unpacked(path)
    again = load_model(str(path))
    np.testing.assert_allclose(again.trace(IDS).last_logits, last_logits(model), atol=2e-4)
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("harm", ["cut", "changed", "config", "gone", "sums", "all gone"])
def test_a_copy_that_is_not_whole_is_made_anew(harm, llama, cache):
    path, model = llama
    load_model(str(path))
    (copy,) = cache.iterdir()
    weights = copy / "model.safetensors"
    data = weights.read_bytes()
    if harm == "cut":
        weights.write_bytes(data[: len(data) // 2])
    elif harm == "changed":
        weights.write_bytes(data[:-8] + b"\x01" * 8)
    elif harm == "config":
        (copy / "config.json").write_text("{")
    elif harm == "gone":
        (copy / "tokenizer.json").unlink()
    elif harm == "sums":
        (copy / unpacked.SUMS).write_text(json.dumps([]))
    else:
        shutil.rmtree(copy)
    hooked = load_model(str(path))
    np.testing.assert_allclose(hooked.trace(IDS).last_logits, last_logits(model), atol=2e-4)
    assert unpacked.is_whole(copy)


def test_what_was_cut_off_while_written_aside_is_no_copy_and_goes_one_day(llama, cache):
    aside = cache / ".cut off"
    aside.mkdir(parents=True)
    (aside / "model.safetensors").write_bytes(b"half")
    os.utime(aside, (time.time() - 2 * unpacked.OLD_S,) * 2)
    load_model(str(llama[0]))
    assert not aside.exists()


def test_copies_that_were_used_long_ago_make_room(llama, cache, tmp_path, monkeypatch):
    load_model(str(llama[0]))
    (old,) = cache.iterdir()
    monkeypatch.setattr(unpacked, "KEPT_BYTES", 600_000)
    write_gguf(tmp_path / "other.gguf", tiny("qwen2"), Kind.Q4_0)
    load_model(str(tmp_path / "other.gguf"))
    (left,) = cache.iterdir()
    assert left != old


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.3, 0.99])
def test_a_file_that_was_cut_off_says_so(share, llama, tmp_path):
    data = llama[0].read_bytes()
    (tmp_path / "cut.gguf").write_bytes(data[: int(share * len(data))])
    assert "not a whole file in GGUF format" in said_of(tmp_path / "cut.gguf")


def test_another_format_with_that_name_and_a_part_say_what_they_are(llama, tmp_path):
    (tmp_path / "a.gguf").write_bytes(b"PK\x03\x04" + b"\0" * 100)
    assert "magic" in said_of(tmp_path / "a.gguf")
    shutil.copy(llama[0], tmp_path / "big-00001-of-00003.gguf")
    assert "one of 3 parts" in said_of(tmp_path / "big-00001-of-00003.gguf")


def test_a_type_that_the_loader_does_not_know_is_named(llama, tmp_path):
    data = llama[0].read_bytes().replace(b"llama", b"xxama")
    (tmp_path / "odd.gguf").write_bytes(data)
    assert "xxama" in said_of(tmp_path / "odd.gguf")


def test_weights_that_do_not_fit_once_unpacked_are_refused_with_both_sizes(llama, monkeypatch):
    monkeypatch.setattr("model_hooks.loading.free_bytes", lambda device: 1000.0)
    assert "once they are unpacked" in said_of(llama[0])


def test_a_file_of_a_repository_is_named_after_a_colon(llama, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelNotFoundError, match=r"org/none is not on this computer"):
        load_model("org/none:model.Q4_0.gguf")


@pytest.mark.parametrize("at", [4, 8, 16, 24, 400, 2400])
def test_damage_to_the_header_is_one_sentence(at, llama, tmp_path):
    data = llama[0].read_bytes()
    (tmp_path / "harmed.gguf").write_bytes(data[:at] + b"\xff" * 7 + data[at + 7 :])
    assert said_of(tmp_path / "harmed.gguf")

"""Checkpoints stored in other ways than plain numbers run, or say what is missing."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    GptOssConfig,
    LlamaConfig,
    LlavaConfig,
    Qwen2_5_VLConfig,
    Qwen2VLConfig,
    Qwen3VLConfig,
)

from model_hooks import load_model
from tests.refusals import said_of
from tests.tiny_models import tiny_tokenizer

IDS = [1, 5, 9, 2, 7]
N_VOCAB = 320
SIZES = {
    "vocab_size": N_VOCAB,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
"""What four bits mean, without their sign (OCP Microscaling Formats v1.0, table 5)."""


def written(folder, model, **how):
    model.save_pretrained(folder, **how)
    tiny_tokenizer().save_pretrained(folder)
    return model.eval()


def llama(folder, dtype=torch.float32, **how):
    torch.manual_seed(0)
    sizes = SIZES | {"hidden_size": 128, "intermediate_size": 128}
    model = AutoModelForCausalLM.from_config(LlamaConfig(**sizes)).to(dtype)
    return written(folder, model, **how)


def edit(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def put(folder, tensors):
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def logits_of(model):
    with torch.no_grad():
        return model(input_ids=torch.tensor([IDS])).logits[0, -1].float().numpy()


ROTATION = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
TEXT = SIZES | {"rope_parameters": ROTATION}
PLACES = {"image_token_id": 319, "video_token_id": 318, "vision_start_token_id": 317}
EYES = {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2}
EYES |= {"out_hidden_size": 64}
CLIP = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1}
CLIP |= {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}
SEEING = {
    "qwen2_5_vl": lambda: Qwen2_5_VLConfig(text_config=TEXT, vision_config=EYES, **PLACES),
    "qwen2_vl": lambda: Qwen2VLConfig(
        text_config=TEXT,
        vision_config={"depth": 1, "embed_dim": 32, "hidden_size": 64, "num_heads": 2},
        **PLACES,
    ),
    "qwen3_vl": lambda: Qwen3VLConfig(
        text_config=TEXT | {"head_dim": 16},
        vision_config=EYES | {"deepstack_visual_indexes": [0]},
        **PLACES,
    ),
    "llava": lambda: LlavaConfig(
        text_config=LlamaConfig(**SIZES).to_dict(),
        vision_config=CLIP | {"model_type": "clip_vision_model"},
        image_token_index=319,
    ),
}


@pytest.mark.parametrize(
    "family",
    ["qwen2_5_vl", *(pytest.param(f, marks=pytest.mark.slow) for f in list(SEEING)[1:])],
)
def test_the_text_part_of_a_model_that_sees_opens_as_a_text_model(family, tmp_path):
    torch.manual_seed(0)
    model = written(tmp_path, AutoModelForImageTextToText.from_config(SEEING[family]()))
    hooked = load_model(str(tmp_path))
    np.testing.assert_allclose(hooked.trace(IDS).last_logits, logits_of(model), atol=1e-5)
    assert hooked.info.n_layers == 2


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_the_digits_are_computed_with_in_full(dtype, tmp_path):
    model = llama(tmp_path, dtype)
    hooked = load_model(str(tmp_path))
    assert hooked.info.dtype == "float32"
    np.testing.assert_allclose(hooked.trace(IDS).last_logits, logits_of(model.float()), atol=1e-5)


@pytest.mark.slow
def test_several_files_are_one_model(tmp_path):
    model = llama(tmp_path, max_shard_size="100KB")
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) > 2
    logits = load_model(str(tmp_path)).trace(IDS).last_logits
    np.testing.assert_allclose(logits, logits_of(model), atol=1e-5)
    files[0].unlink()
    assert f"{files[0].name} is missing" in said_of(tmp_path)


def test_pickle_files_say_how_to_convert_them(tmp_path):
    model = llama(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    assert "save_pretrained(" in said_of(tmp_path)


@pytest.mark.slow
def test_eight_bits_with_a_scale_per_block_run_as_their_numbers(tmp_path):
    model = llama(tmp_path, torch.bfloat16)
    tensors = {}
    for key, weight in load_file(tmp_path / "model.safetensors").items():
        tensors[key] = weight
        if "proj" in key:
            scale = weight.abs().max().float() / 448
            tensors[key] = (weight / scale).to(torch.float8_e4m3fn)
            tensors[f"{key}_scale_inv"] = scale.reshape(1, 1)
            model.state_dict()[key].copy_(tensors[key].float() * scale)
    put(tmp_path, tensors)
    blocks = {"activation_scheme": "dynamic", "weight_block_size": [128, 128]}
    edit(tmp_path, dtype="bfloat16", quantization_config={"quant_method": "fp8"} | blocks)
    logits, own = load_model(str(tmp_path)).trace(IDS).last_logits, logits_of(model)
    # what goes into a product is rounded to eight bits, too
    assert np.abs(logits - own).max() < 0.1 * np.abs(own).max()


@pytest.mark.slow
def test_four_bits_with_a_power_of_two_per_block_run_as_their_numbers(tmp_path):
    torch.manual_seed(0)
    experts = {"num_local_experts": 4, "num_experts_per_tok": 2, "head_dim": 16}
    config = GptOssConfig(**SIZES, **experts)
    model = written(tmp_path, AutoModelForCausalLM.from_config(config).to(torch.bfloat16))
    draw, tensors = np.random.default_rng(0), {}
    for key, weight in load_file(tmp_path / "model.safetensors").items():
        if not key.endswith(("gate_up_proj", "down_proj")):
            tensors[key] = weight
            continue
        n_experts, n_in, n_out = weight.shape
        packed = draw.integers(0, 256, (n_experts, n_out, n_in // 32, 16), np.uint8)
        tensors[f"{key}_blocks"] = torch.tensor(packed)
        tensors[f"{key}_scales"] = torch.full(packed.shape[:-1], 122, dtype=torch.uint8)
        four = np.stack([packed & 15, packed >> 4], axis=-1).reshape(n_experts, n_out, n_in)
        values = np.where(four & 8, -1, 1) * FP4[four & 7] * 2.0 ** (122 - 127)
        model.state_dict()[key].copy_(torch.tensor(values.swapaxes(1, 2)))
    put(tmp_path, tensors)
    packing = {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}
    edit(tmp_path, dtype="bfloat16", quantization_config=packing)
    logits, own = load_model(str(tmp_path)).trace(IDS).last_logits, logits_of(model)
    assert np.abs(logits - own).max() < 0.02 * np.abs(own).max()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "settings", "named"),
    [
        ("gptq", {"bits": 4, "group_size": 16}, "pip install"),
        ("awq", {"bits": 4, "group_size": 16}, "pip install"),
        ("bitsandbytes", {"load_in_8bit": True}, "pip install bitsandbytes"),
        ("compressed-tensors", {"config_groups": {}}, "pip install compressed-tensors"),
        ("quanto", {"weights": "int8"}, "pip install optimum-quanto"),
        ("torchao", {"quant_type": "int8_weight_only"}, "pip install torchao"),
        ("hqq", {"quant_config": {"weight_quant_params": {"nbits": 4}}}, "HQQ"),
        ("fbgemm_fp8", {}, "GPU"),
        ("bitnet", {}, "bitnet"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_packed_weights_need_is_named(method, settings, named, tmp_path):
    llama(tmp_path)
    edit(tmp_path, quantization_config={"quant_method": method} | settings)
    assert named in said_of(tmp_path)


@pytest.mark.filterwarnings("ignore:.*[Qq]uantization")
def test_a_way_to_pack_weights_that_is_not_known_is_named(tmp_path):
    llama(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    halves = {k: w[:, ::2].to(torch.uint8).contiguous() for k, w in tensors.items() if "proj" in k}
    put(tmp_path, tensors | halves)
    edit(tmp_path, quantization_config={"quant_method": "modelopt"})
    assert "(modelopt)" in said_of(tmp_path)

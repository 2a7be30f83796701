"""What may be wrong with a model's folder on purpose? Each case changes a good one."""

import base64
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

Case = Callable[[Path], None]
HUGE = 10**12
LOOPS = "".join(f"{{% for {x} in range(99999) %}}" for x in "abc") + "{% endfor %}" * 3
NESTED_REGEX = r"(([a-z])+.)+[A-Z]([a-z])+$"


def _edit(file: str, **change: Any) -> Case:
    def case(folder: Path) -> None:
        said = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(said | change))

    return case


def _config(**change: Any) -> Case:
    return _edit("config.json", **change)


def _words(**change: Any) -> Case:
    return _edit("tokenizer.json", **change)


def _about_words(**change: Any) -> Case:
    return _edit("tokenizer_config.json", **change)


def _text(file: str, text: str | bytes) -> Case:
    def case(folder: Path) -> None:
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_bytes(text if isinstance(text, bytes) else text.encode())

    return case


def _instead(file: str, make: Callable[[Path], Any]) -> Case:
    def case(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / file).parent.mkdir(exist_ok=True)
        make(folder / file)

    return case


def _both(*cases: Case) -> Case:
    def case(folder: Path) -> None:
        for one in cases:
            one(folder)

    return case


def _replacing(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def _exploding(part: str) -> dict[str, Any]:
    steps = [_replacing({"String": "a"}, "a" * 16) for _ in range(8)]
    return {"type": "Sequence", part: steps}


def _split(pattern: str) -> dict[str, Any]:
    how = {"behavior": "Isolated", "invert": False}
    return {"type": "Split", "pattern": {"Regex": pattern}, **how}


def _charsmap(says: bytes) -> dict[str, str]:
    """A map of SentencePiece's whose one rule makes an `a` to something."""
    trie = [0] * 512
    trie[0] = 1 << 10  # the root's children begin at 1
    trie[1 ^ 97] = 97 | 1 << 8 | (2 << 10)
    trie[(1 ^ 97) ^ 2] = 1 << 31
    raw = struct.pack(f"<I{len(trie)}I", 4 * len(trie), *trie) + says + b"\0"
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(raw).decode()}


def _index(target: str) -> Case:
    def case(folder: Path) -> None:
        data = (folder / "model.safetensors").read_bytes()
        keys = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
        (folder / "model.safetensors").rename(folder / "unused.safetensors")
        names = {key: target for key in keys if key[0] != "_"}
        _text("model.safetensors.index.json", json.dumps({"weight_map": names}))(folder)

    return case


def _header(n_bytes: int) -> Case:
    def case(folder: Path) -> None:
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(struct.pack("<Q", n_bytes) + data[8:])

    return case


def _adapter(**change: Any) -> Case:
    """Put an adapter of rank 2 on a folder, whose config says something else."""

    def case(folder: Path) -> None:
        said = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"], **change}
        (folder / "adapter_config.json").write_text(json.dumps(said))
        where = "base_model.model.model.layers.0.self_attn.q_proj"
        shapes = {f"{where}.lora_A.weight": (2, 128), f"{where}.lora_B.weight": (128, 2)}
        tensors = {key: np.zeros(shape, np.float32) for key, shape in shapes.items()}
        save_file(tensors, folder / "adapter_model.safetensors")

    return case


def _large_file(file: str) -> Case:
    return _instead(file, lambda path: (path.touch(), os.truncate(path, 20 * 10**9)))


def _added(n: int, **change: Any) -> list[dict[str, Any]]:
    kind = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    made = {"special": False, **kind, **change}
    return [{"id": 2048 + i, "content": f"<x{i}>", **made} for i in range(n)]


def _another_kind(said: dict[str, Any]) -> Case:
    """Weights of nothing beside a config of a few words, which asks for a model of billions."""
    empty = struct.pack("<Q", 2) + b"{}"
    return _both(_text("config.json", json.dumps(said)), _text("model.safetensors", empty))


_NO_WORDS = _instead("tokenizer.json", lambda path: None)
_WORDPIECE = {
    "type": "WordPiece",
    "unk_token": "a",
    "continuing_subword_prefix": "##",
    "max_input_chars_per_word": HUGE,
    "vocab": {"a": 0, "##a": 1},
}
_UNIGRAM = {"type": "Unigram", "unk_id": 9, "vocab": [["a", 0.0], ["b", -1e308]]}

CASES: dict[str, Case] = {
    # What the config says
    "a config of thirty bytes": _another_kind({"model_type": "mpt"}),
    "a hundred thousand layers": _config(num_hidden_layers=10**5),
    "layers without end by another name": _another_kind({"model_type": "gpt2", "n_layer": 10**9}),
    "labels without end": _config(num_labels=10**8),
    "experts without end": _config(model_type="mixtral", num_local_experts=10**9),
    "norms without end": _config(
        **{
            "model_type": "stablelm",
            "num_hidden_layers": 1,
            "hidden_size": 10**8,
            "num_attention_heads": 10**8,
            "num_key_value_heads": 10**8,
            "qk_layernorm": True,
        }
    ),
    "layers of another name": _config(num_mtp_layers=10**10),
    "a vocabulary without end": _config(vocab_size=HUGE),
    "positions without end": _config(max_position_embeddings=HUGE),
    "heads without end": _config(num_attention_heads=10**9, num_key_value_heads=10**9),
    "positions that are computed": _config(model_type="ctrl", n_positions=10**10),
    "slopes that are computed": _config(model_type="mpt", n_heads=10**9),
    "kinds of layers without end": _config(layer_types=["full_attention"] * 10**5),
    "sizes that are no numbers": _config(hidden_size="wide", vocab_size=None, head_dim=-3),
    "a number of five thousand digits": _text(
        "config.json", '{"model_type": "llama", "hidden_size": ' + "9" * 5000 + "}"
    ),
    "brackets without end": _text("config.json", "[" * 10**6),
    "a config within a config": _text(
        "config.json", '{"model_type": "llama", "a": ' + '{"a":' * 900 + "1" + "}" * 901
    ),
    "code of its own": _config(model_type="mine", auto_map={"AutoModelForCausalLM": "own.Code"}),
    "a quantisation of its own": _config(quantization_config={"quant_method": "mine"}),
    "a rope that is no number": _config(rope_parameters={"rope_type": "yarn", "factor": "x"}),
    "an ending without end": _edit("generation_config.json", max_length=HUGE, num_beams=10**6),
    # Which files it names
    "an index to another folder": _index("/etc/passwd"),
    "an index upwards": _index("../../../../../../etc/passwd"),
    "an index to a device": _index("/dev/zero"),
    "an index to a pipe": _both(
        _index("pipe.safetensors"), _instead("pipe.safetensors", os.mkfifo)
    ),
    "a pipe as vocabulary": _instead("tokenizer.json", os.mkfifo),
    "a device as config": _instead("config.json", lambda p: p.symlink_to("/dev/zero")),
    "a link to nothing": _instead("tokenizer_config.json", lambda p: p.symlink_to("gone")),
    "a link to itself": _instead("config.json", lambda p: p.symlink_to(p)),
    "a folder as weights": _instead("model.safetensors", Path.mkdir),
    "a pipe among templates": _instead("additional_chat_templates/more.jinja", os.mkfifo),
    "a pipe that its settings name": _both(
        _NO_WORDS,
        _instead("secret.pipe", os.mkfifo),
        lambda folder: _about_words(
            tokenizer_class="BertTokenizer", vocab_file=str(folder / "secret.pipe")
        )(folder),
    ),
    # How large they are
    "a vocabulary of twenty gigabytes": _large_file("tokenizer.json"),
    "a config of twenty gigabytes": _large_file("config.json"),
    "a template of twenty gigabytes": _large_file("chat_template.jinja"),
    "a header of an exabyte": _header(10**18),
    "a header of nothing": _header(0),
    "weights without a header": _text("model.safetensors", b"\xff" * 100),
    # What the tokenizer does
    "a normalizer that explodes": _words(normalizer=_exploding("normalizers")),
    "a normalizer that explodes by a regex": _words(
        normalizer={
            "type": "Sequence",
            "normalizers": [_replacing({"Regex": "."}, "a" * 60), _replacing({"Regex": "a"}, "b")]
            + [{"type": "Prepend", "prepend": "x" * 10**7}] * 20,
        }
    ),
    "a map that explodes": _words(normalizer=_charsmap(b"a" * 10**6)),
    "a map that is broken": _words(
        normalizer={"type": "Precompiled", "precompiled_charsmap": "/////w=="}
    ),
    "a decoder that explodes": _words(decoder=_exploding("decoders")),
    "an expression that never ends": _words(pre_tokenizer=_split(NESTED_REGEX)),
    "an expression that doubles": _words(pre_tokenizer=_split(r"(a|a|aa)+\d$")),
    "an expression of a million signs": _words(pre_tokenizer=_split("(a?){9999}" * 10**5)),
    "padding without end": _words(
        padding={
            "strategy": {"Fixed": 10**11},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "a",
        }
    ),
    "cutting that never ends": _words(
        truncation={
            "direction": "Right",
            "max_length": 1,
            "strategy": "LongestFirst",
            "stride": 10**9,
        }
    ),
    "special tokens without end": _words(
        post_processor={
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "a", "type_id": 0}}] * 200
            + [{"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 0}},
            ],
            "special_tokens": {"a": {"id": "a", "ids": [0] * 10**5, "tokens": ["a"] * 10**5}},
        }
    ),
    "words of any length": _words(model=_WORDPIECE),
    "an unknown token that is not there": _words(model=_UNIGRAM),
    "merges of what is not there": _words(
        model={"type": "BPE", "vocab": {"a": 0}, "merges": [["x", "y"]]}
    ),
    "a number beyond all": _words(model={"type": "WordLevel", "vocab": {"a": 2**40}}),
    "the highest number": _words(
        model={"type": "WordLevel", "unk_token": "a", "vocab": {"a": 2**32 - 1}}
    ),
    "a hundred thousand added tokens": _words(added_tokens=_added(10**5, normalized=True)),
    "added tokens of nothing": _words(added_tokens=_added(3, content="")),
    "an added token far away": _about_words(
        added_tokens_decoder={str(10**9): {"content": "far", "special": True}}
    ),
    "an added token below": _about_words(added_tokens_decoder={"-7": {"content": "x"}}),
    # What an adapter says
    "an adapter of any rank": _adapter(r=10**6),
    "an adapter of any rank somewhere": _adapter(r=2, rank_pattern={"q_proj": 10**6}),
    "an adapter of itself": _adapter(r=2, base_model_name_or_path="."),
    # What its settings say
    "a length that is text": _about_words(model_max_length="many"),
    "a length that is a list": _about_words(model_max_length=[1]),
    "a length below nothing": _about_words(model_max_length=-5),
    "settings that are no texts": _about_words(bos_token=7, pad_token=[1], chat_template=3),
    "a class that is none": _about_words(tokenizer_class="os.system"),
    "a side that is none": _about_words(padding_side="up", truncation_side=4),
    "a template that loops": _about_words(chat_template=LOOPS),
    "a template that fills the memory": _about_words(chat_template="{{ 'x' * 10**10 }}"),
    "a template that is none": _about_words(chat_template="{% for %}"),
    "templates by name that are none": _about_words(chat_template=[{"name": 1}]),
}

"""What pages write is what a plain transformers run gives, for each kind of bundled model."""

import math
from functools import cached_property

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from model_hooks.experiments.untrained import open_model
from model_hooks.loading import BUNDLED
from pages.widgets import quantity
from pages.widgets.quantity import Shown, heard
from tests.pages.conftest import opened

STORY = "Lily and Tim went to the lighthouse. Lily and"
TEMPERATURE, POS, LAYER = 1.5, 10, 2
STATE = {"prompt": STORY, "strategy": "sample", "temperature": TEMPERATURE, "layer": LAYER}
AT_ONCE = ("storyteller", "twin-gelu")
"""Rotary positions, RMSNorm, a gate and shared heads; and none of these."""
OTHERS = ("twin-original-2017", "twin-rope", "twin-rmsnorm", "twin-mqa", "twin-local")
"""The other architectures among the bundled models."""
AT_LEAST = 100
"""So many numbers are compared of each model."""
LOOKS = [
    ("forward_pass", {"stage": "blocks", "pos": POS}),
    ("forward_pass", {"stage": "lm_head", "pos": POS}),
    ("generation", {"generation.why": 1}),
    ("attention", {"pos": POS, "head": 1}),
    ("attention", {"pos": POS, "head": "mean"}),
    ("feedforward", {"pos": POS}),
    ("layers", {"layers.tab": "halves"}),
    ("layers", {"layers.tab": "parts"}),
    ("layers", {"layers.tab": "growth", "pos": POS}),
    ("lm_head", {"lm_head.tab": "surprisal", "pos": POS}),
    ("kv_cache", {"kv_cache.tab": "contents"}),
    ("kv_cache", {"kv_cache.tab": "sizes", "kv_cache.positions": 40}),
    ("efficient_attention", {}),
    ("block_architecture", {"block_architecture.tab": "whole", "pos": POS}),
    ("block_architecture", {"block_architecture.tab": "activation", "pos": POS}),
]


class Plain:
    """One run of a model by transformers alone, with hooks of torch."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.model = AutoModelForCausalLM.from_pretrained(
            BUNDLED / name, dtype=torch.float32, attn_implementation="eager"
        ).eval()
        self.config, body = self.model.config, self.model.model
        body = getattr(body, "decoder", body)
        self.layers = list(body.layers)
        self.norm = getattr(body, "final_layer_norm", None) or getattr(body, "norm", None)
        self.norm = self.norm or torch.nn.Identity()
        ids = AutoTokenizer.from_pretrained(BUNDLED / name)(STORY, return_tensors="pt").input_ids
        self.ids = ids[0].tolist()
        self.taken: dict[tuple[str, int], torch.Tensor] = {}
        for i, layer in enumerate(self.layers):
            self._tap(layer, "resid_pre", i, given=True)
            self._tap(layer, "resid_post", i)
            self._tap(layer.self_attn, "attn_out", i)
            into, out_of = self._feedforward(layer)
            self._tap(into, "pre_activation", i)
            self._tap(out_of, "activation", i, given=True)
            self._tap(out_of, "mlp_out", i)
        with torch.no_grad():
            self.out = self.model(ids, output_attentions=True, use_cache=True)
        self.logits = self.out.logits[0].double()

    def _tap(self, module: torch.nn.Module, name: str, layer: int, *, given: bool = False) -> None:
        def keep(module, args, kwargs, out):
            taken = (args[0] if args else kwargs["hidden_states"]) if given else out
            taken = taken[0] if isinstance(taken, tuple) else taken
            self.taken[name, layer] = taken.reshape(-1, taken.shape[-1]).double()

        module.register_forward_hook(keep, with_kwargs=True)

    @staticmethod
    def _feedforward(layer: torch.nn.Module) -> tuple[torch.nn.Module, torch.nn.Module]:
        """What gives what enters the activation, and what takes what comes of it."""
        mlp = getattr(layer, "mlp", layer)
        for into, out_of in (
            ("gate_proj", "down_proj"),
            ("up_proj", "down_proj"),
            ("c_fc", "c_proj"),
            ("fc1", "fc2"),
        ):
            if hasattr(mlp, into):
                return getattr(mlp, into), getattr(mlp, out_of)
        raise AssertionError(layer)

    @cached_property
    def is_post_norm(self) -> bool:
        return not getattr(self.config, "do_layer_norm_before", True)

    def probability(self, pos: int, token: int, temperature: float = 1.0) -> float:
        return float(torch.softmax(self.logits[pos] / temperature, -1)[token])

    def rank(self, pos: int, token: int) -> int:
        return int((self.logits[pos] > self.logits[pos, token]).sum()) + 1

    def surprisal(self, pos: int, token: int) -> float:
        return -math.log2(self.probability(pos, token))

    def entropy(self, pos: int) -> float:
        p = torch.softmax(self.logits[pos] / TEMPERATURE, -1)
        return float(-(p * p.clamp_min(1e-300).log2()).sum())

    def loss(self) -> float:
        return float(np.mean([self.surprisal(i, t) for i, t in enumerate(self.ids[1:])]))

    def attention(self, layer: int, head: int | None, query: int, key: int) -> float:
        weights = self.out.attentions[layer][0, :, query, key]
        return float(weights.mean() if head is None else weights[head])

    def stream(self, part: str, layer: int | None) -> torch.Tensor:
        if layer is None:
            return self.taken["resid_pre", 0]
        if part == "feedforward":
            return self.taken["resid_post", layer]
        middle = self.taken["resid_pre", layer] + self.taken["attn_out", layer]
        if self.is_post_norm:
            return self.layers[layer].self_attn_layer_norm(middle.float()).double()
        return middle

    @torch.no_grad()
    def lens(self, part: str, layer: int | None, pos: int, token: int) -> float:
        read = self.model.lm_head(self.norm(self.stream(part, layer)[pos].float()))
        return float(torch.softmax(read.double(), -1)[token])

    @torch.no_grad()
    def added(self, part: str, *of: int) -> float:
        """By a part, where the final norm is the linear map that it is at the last layer."""
        *layer, pos, token = of
        last, row = self.taken["resid_post", len(self.layers) - 1][pos], self.row(token)
        bias = getattr(self.norm, "bias", None)
        if part == "the biases":
            return float(row @ bias.double()) if bias is not None else 0.0
        name = {"attention": "attn_out", "feedforward": "mlp_out", "the embedding": "resid_pre"}
        vector = self.taken[name[part], layer[0] if layer else 0][pos]
        if isinstance(self.norm, torch.nn.Identity):
            return float(row @ vector)
        if isinstance(self.norm, torch.nn.LayerNorm):
            scale = torch.sqrt(last.var(correction=0) + self.norm.eps)
            vector = vector - vector.mean()
        else:
            scale = torch.sqrt((last**2).mean() + self.norm.variance_epsilon)
        return float(row @ (vector * self.norm.weight.double() / scale))

    def row(self, token: int) -> torch.Tensor:
        return self.model.lm_head.weight[token].double()

    def length(self, part: str, layer: int, pos: int) -> float:
        return float(self.taken[part, layer][pos].norm())

    def negative(self, layer: int, pos: int) -> float:
        return float((self.taken["pre_activation", layer][pos] <= 0).double().mean())

    def small(self, layer: int, pos: int) -> float:
        gives = self.taken["activation", layer][pos].abs()
        return float((gives <= 0.01 * gives.max()).double().mean())

    def cached(self, name: str, n_positions: int, dtype: str) -> float:
        assert (name, dtype) == (self.name, "float32")
        held = self.out.past_key_values.layers
        n_bytes = sum(one.nbytes for layer in held for one in (layer.keys, layer.values))
        return n_bytes / len(self.ids) * n_positions

    def recomputed(self, one: Shown) -> float | None:
        """The number that a page wrote; None where it is about another model."""
        q, of = quantity, one.of
        ways = {
            q.PROBABILITY: self.probability,
            q.CHANCE: lambda *of: self.probability(*of, TEMPERATURE),
            q.RANK: self.rank,
            q.RANK_SET: self.rank,
            q.SURPRISE: self.surprisal,
            q.ENTROPY: self.entropy,
            q.LOSS: self.loss,
            q.ATTENTION: self.attention,
            q.LENS: self.lens,
            q.ADDED: self.added,
            q.LENGTH: self.length,
            q.NEGATIVE: self.negative,
            q.SMALL: self.small,
            q.CACHED: self.cached,
            q.TOKENS: lambda: len(self.ids),
            q.CONTEXT: lambda: self.config.max_position_embeddings,
            q.PARAMETERS: lambda name: sum(p.numel() for p in self.model.parameters()),
        }
        is_others = one.quantity == q.CACHED.name and of[0] != self.name
        if is_others or one.quantity == q.BITS_PER_BYTE.name or -1 in of or of[0:1] == ("share",):
            return None
        return float({of.name: way for of, way in ways.items()}[one.quantity](*of))


@pytest.mark.parametrize(
    "name", [*AT_ONCE, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
def test_every_number_is_that_of_a_plain_run(open_with, name):
    open_with(open_model)
    plain, written = Plain(name), {}
    for folder, more in LOOKS:
        with heard(lambda one: written.setdefault((one.quantity, one.of), one)):
            app = opened(folder, model=name, **STATE, **more)
        assert not app.exception, (folder, more)
    compared = 0
    for one in written.values():
        if (value := plain.recomputed(one)) is None:
            continue
        assert one.value == pytest.approx(value, rel=2e-4, abs=2e-6), one
        compared += 1
    assert compared >= AT_LEAST

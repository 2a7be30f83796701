"""How a block is built is said in the numbers of the model."""

from dataclasses import replace

import pytest

from pages.forward_pass.block import attention_facts, feedforward_facts


@pytest.fixture
def info(hooked):
    return replace(
        hooked.info, n_heads=4, n_kv_heads=4, d_head=8, d_model=1024, sliding_window=(None, 4096)
    )


def test_attention_is_told_by_heads_their_sharing_and_its_own_window(info):
    assert attention_facts(info, 0) == "4 heads of 8 numbers each."
    assert attention_facts(info, 1).endswith(", looking back at most 4,096 tokens.")
    shared = attention_facts(replace(info, n_kv_heads=2), 0)
    assert shared == "4 heads of 8 numbers each, sharing 2 sets of keys and values."


def test_feedforwards_are_told_by_width_activation_gate_and_experts(info):
    plain = replace(info, d_mlp=2048, activation="gelu", gated_mlp=False, n_experts=None)
    told = feedforward_facts(plain)
    assert "1,024 → 2,048 → 1,024 numbers (activation `gelu`)." in told
    assert "experts" not in told
    mixture = replace(plain, gated_mlp=True, n_experts=8, experts_per_token=2)
    told = feedforward_facts(mixture)
    assert "(activation `gelu`, with a gate)." in told
    assert "2 of 8 such networks (experts) run for each token." in told

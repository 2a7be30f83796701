import torch
from torch.utils.flop_counter import FlopCounterMode

from model_hooks.parts.experts import active_share_of, count_experts


def test_flops_equal_what_torch_counts(hooked):
    """torch counts the products of the eager model as they are dispatched."""
    hooked.forget()
    [step] = hooked.generate([1, 2, 3, 4, 1], max_new_tokens=1)
    recorded = hooked.model.config._attn_implementation
    hooked.model.set_attn_implementation("eager")
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            hooked.model(torch.tensor([[1, 2, 3, 4, 1]]), logits_to_keep=1)
    finally:
        hooked.model.set_attn_implementation(recorded)
    # The rotary angles are a product too, of a few numbers.
    assert 0 <= counter.get_total_flops() - step.flops <= 0.01 * step.flops


def test_one_more_row_costs_its_matrices_and_its_keys(hooked):
    hooked.forget()
    first, second, third = hooked.generate([1, 2, 3], max_new_tokens=3)
    info = hooked.info
    one_more_key = info.n_layers * 4 * info.n_heads * info.d_head
    assert third.flops - second.flops == one_more_key
    assert first.flops > second.flops


def test_experts_that_are_not_used_cost_nothing():
    class Config:
        num_local_experts, num_experts_per_tok = 8, 2

    assert count_experts(Config) == 8
    assert active_share_of(Config) == 0.25

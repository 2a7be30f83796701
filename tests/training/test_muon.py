import copy

import pytest
import torch

from training.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(3, 24, 24), (2, 12, 40), (2, 40, 12)])
def test_singular_values_come_near_one(shape):
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape), steps=8))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_a_step_equals_the_one_of_torch_up_to_its_bfloat16():
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(24, 16)), torch.nn.Parameter(torch.randn(24, 16))]
    theirs = copy.deepcopy(ours)
    settings = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}
    optimizers = Muon(ours, **settings), torch.optim.Muon(theirs, **settings)
    for _ in range(3):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn(24, 16)
            other.grad = mine.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, atol=0.02, rtol=0)

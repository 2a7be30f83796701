"""What a family returns as its attention is taken for weights only where it can be."""

import pytest
import torch

from model_hooks.run.capture import Recording
from model_hooks.run.interface import attach_weights

N_POS = 3


def record_of(n_layers):
    record = Recording()
    for _ in range(n_layers):
        record.begin(torch.nn.Identity(), torch.zeros(N_POS, 4))
    return record


@pytest.mark.parametrize(
    "returned",
    [None, torch.rand(1, 2, N_POS), torch.rand(1, 2, N_POS - 1, 5)],
    ids=["nothing", "no map", "too few rows"],
)
def test_what_is_no_map_of_weights_is_left_out(returned):
    record, weights = record_of(2), torch.rand(1, 2, N_POS, N_POS)
    attach_weights(record, (returned, weights))
    assert record.layers[0].calls == []
    assert torch.equal(record.layers[1].calls[0].weights(), weights[0])


def test_maps_are_taken_only_if_there_is_one_for_each_layer():
    for returned in (None, (), (torch.rand(1, 2, N_POS, N_POS),)):
        record = record_of(2)
        attach_weights(record, returned)
        assert all(layer.calls == [] for layer in record.layers)

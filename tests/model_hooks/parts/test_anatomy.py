"""How the stream lies in tensors, and what is said of parts that a block has or lacks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from model_hooks.parts.anatomy import (
    BlockAnatomy,
    StreamLayout,
    Tap,
    hidden_states_of,
    is_norm,
    path_of,
)

MODULE = nn.Linear(2, 2)
TAP = Tap(MODULE, "block.part")


def block(wiring="sequential", attn_out=None, resid_mid=None, mlp_out=None) -> BlockAnatomy:
    return BlockAnatomy(
        module=MODULE,
        path="block",
        attention=None,
        attention_path=None,
        wiring=wiring,
        attn_out=attn_out,
        resid_mid=resid_mid,
        mlp_out=mlp_out,
        output_length=None,
        norm_placement="pre",
    )


@pytest.mark.parametrize(
    ("anatomy", "parts"),
    [
        (block(attn_out=TAP, mlp_out=TAP), ("attention", "feedforward")),
        (block(resid_mid=TAP), ("attention", "feedforward")),
        (block(attn_out=TAP), ("attention",)),
        (block(mlp_out=TAP), ("feedforward",)),
        (block(wiring="unknown", attn_out=TAP), ()),
    ],
)
def test_parts_are_those_whose_addition_is_known(anatomy, parts):
    assert anatomy.parts == parts


@given(n_pos=st.integers(1, 5), n_streams=st.integers(1, 3), width=st.integers(1, 4))
def test_rows_in_any_layout_can_be_put_back(n_pos, n_streams, width):
    for layout, shape in (
        (StreamLayout(), (1, n_pos, width)),
        (StreamLayout(1, (n_streams, width)), (n_streams, n_pos, width)),
        (StreamLayout(2, (1, n_streams, width)), (1, n_streams, n_pos, width)),
    ):
        tensor = torch.rand(shape)
        rows = layout.rows(tensor)
        assert rows.shape == (n_pos, tensor.numel() // n_pos)
        assert torch.equal(layout.restored(rows), tensor)


def test_one_row_is_what_belongs_to_one_position():
    tensor = torch.arange(12.0).reshape(2, 3, 2)  # two streams of three positions
    assert StreamLayout(1, (2, 2)).rows(tensor)[1].tolist() == [2, 3, 8, 9]


def test_hidden_states_are_the_first_tensor():
    one, two = torch.zeros(1), torch.ones(1)
    assert hidden_states_of((one, two), {}) is one
    assert hidden_states_of((((one,), two),), {}) is one
    assert hidden_states_of((), {"mask": two, "hidden_states": one}) is one
    assert hidden_states_of((), {"x": one}) is one
    assert hidden_states_of((), {}) is None


def test_a_path_leads_to_its_module():
    network = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.LayerNorm(2)))
    assert path_of(network, network[1][0]) == "1.0"
    with pytest.raises(LookupError, match="no part of"):
        path_of(network, nn.Linear(2, 2))


def test_a_norm_is_told_by_its_class_and_has_nothing_inside():
    class NormBlock(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.LayerNorm(2)

    assert is_norm(nn.LayerNorm(2))
    assert is_norm(nn.RMSNorm(2))
    assert not is_norm(nn.Linear(2, 2))
    assert not is_norm(NormBlock())

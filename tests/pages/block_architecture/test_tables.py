"""What the tabs put into tables and sentences, by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from model_hooks.bundled import TrainingRun
from model_hooks.read.norms import NormTimes, norm_steps, other_norm
from pages.block_architecture import norm_kind, norm_place, trained, twin_pair, whole
from pages.block_architecture.activations import share_off
from pages.block_architecture.norm_place import Measured


def test_parameters_are_listed_the_largest_first_without_what_is_missing():
    table = whole.table_of({"norms": 5, "attention": 20, "other": 0, "feedforward": 7})
    assert table["part"].tolist() == ["attention", "feedforward", "norms"]
    assert table["parameters"].tolist() == [20, 7, 5]


def test_neurons_are_off_below_zero_or_below_a_hundredth_of_the_largest():
    off = share_off(np.array([-1.0, 0.0, 0.5, 4.0]), np.array([0.0, 0.0, 0.03, 4.0]))
    assert off == (0.5, 0.75)
    assert share_off(np.zeros(2), np.zeros(2)).nearly_off == 1


def test_seeds_are_averaged_and_their_spread_is_told():
    assert trained.mean_of(np.array([1.0, 1.5]), "tiny") == "1.250"
    assert trained.seeds_of(np.array([1.0, 1.5, 1.2])) == "3, 0.500 apart"
    assert trained.seeds_of(np.array([1.0])) == "one"
    assert (trained.mean_of(np.array([]), "tiny"), trained.seeds_of(np.array([]))) == (
        "not measured",
        "",
    )


def twin(name, compared_with):
    return TrainingRun(name, compared_with, "a change", 128, None, (), (), ())


@pytest.mark.parametrize(
    ("name", "names", "partner"),
    [
        ("c", ["a", "b", "c"], "b"),
        ("c", ["a", "c"], "a"),
        ("a", ["a", "b", "c"], "b"),
    ],
)
def test_partner_is_the_twin_that_differs_in_one_choice_or_another_one(name, names, partner):
    known = [twin("a", None), twin("b", "a"), twin("c", "b")]
    assert twin_pair.partner_of(name, known, names) == partner


def test_depth_is_told_from_the_first_point_to_the_last():
    numbers = Measured(np.array([1.0, 2.0, 30.0]), np.array([0.5, 0.25, 0.125]), 3.14159, None)
    assert norm_place.in_words(numbers) == (
        "the stream goes from 1 to 30; the gradient is 0.25 where block 1 begins and 0.125 after "
        "the last block (loss 4.53 bits per token)."
    )
    without = numbers._replace(gradients=None, problem="No *loss*.")
    assert norm_place.in_words(without).endswith(r"to 30. No \*loss\*\.")
    table = norm_place.table_of({"a": numbers, "b": without}, "trained")
    assert table["stream_size"].tolist() == [1, 2, 30, 1, 2, 30]
    assert table["gradient_size"].isna().tolist() == [False] * 3 + [True] * 3
    nothing = Measured(None, None, None, "Too large.")
    assert norm_place.in_words(nothing) == r"Too large\."
    assert len(norm_place.table_of({"a": numbers, "b": nothing}, "fresh")) == 3


def test_steps_of_both_norms_stand_side_by_side():
    steps = norm_steps(torch.nn.RMSNorm(4, eps=0.0), np.array([1.0, 2.0, 2.0, 4.0], np.float32))
    table = norm_kind.table_of(other_norm(steps), steps, "RMSNorm")
    assert list(table.columns) == ["LayerNorm", "RMSNorm (this model)"]
    own = table["RMSNorm (this model)"]
    assert own["the vector"] == "1.000, 2.000, 2.000, …"
    assert own["subtract the mean"] == "left out"
    assert own["mean of the squares"] == "6.25"
    assert own["root of it (+ eps)"] == "2.5"
    assert own["divide"] == "0.400, 0.800, 0.800, …"
    assert table["LayerNorm"]["subtract the mean"] == "-1.250, -0.250, -0.250, …"


def test_costs_are_operations_numbers_and_microseconds():
    table = norm_kind.costs_of(NormTimes(1e-6, 2e-6, 3e-6, 4e-6), 10)
    expected = pd.DataFrame(
        {
            "operations per vector": ["70", "40"],
            "learned numbers": ["20", "10"],
            "written out": ["1 µs", "2 µs"],
            "PyTorch's own": ["3 µs", "4 µs"],
        },
        index=pd.Index(["LayerNorm", "RMSNorm"], name=""),
    )
    pd.testing.assert_frame_equal(table, expected)

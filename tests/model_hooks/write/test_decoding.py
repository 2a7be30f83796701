import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model_hooks import Decoding, DecodingError

LOGITS = np.log(np.array([0.5, 0.3, 0.15, 0.05])).astype(np.float32)


def probabilities(**options):
    stages = Decoding(strategy="sample", **options).stages(LOGITS, [0])
    return {stage.name: stage.probabilities for stage in stages}


def test_the_raw_stage_is_the_softmax_of_the_logits():
    np.testing.assert_allclose(probabilities()["raw"], [0.5, 0.3, 0.15, 0.05], rtol=1e-6)


def test_temperature_two_takes_the_square_root_of_the_odds():
    expected = np.sqrt([0.5, 0.3, 0.15, 0.05])
    got = probabilities(temperature=2.0)["temperature"]
    np.testing.assert_allclose(got, expected / expected.sum(), rtol=1e-6)


def test_top_k_keeps_the_k_best_and_rescales():
    np.testing.assert_allclose(probabilities(top_k=2)["top_k"], [0.625, 0.375, 0, 0], rtol=1e-6)


def test_top_p_keeps_the_smallest_set_that_reaches_p():
    np.testing.assert_allclose(probabilities(top_p=0.7)["top_p"], [0.625, 0.375, 0, 0], rtol=1e-6)


def test_min_p_is_relative_to_the_best_token():
    got = probabilities(min_p=0.4)["min_p"]
    np.testing.assert_allclose(got, [0.625, 0.375, 0, 0], rtol=1e-6)


def test_repetition_penalty_makes_a_token_of_the_text_less_likely():
    stages = Decoding(repetition_penalty=2.0).stages(np.array([2.0, 1.0], np.float32), [0])
    np.testing.assert_allclose(stages[-1].scores, [1.0, 1.0])


def test_stages_come_in_the_order_of_generate_and_only_those_in_use():
    options = {"repetition_penalty": 1.2, "temperature": 0.7, "top_k": 3, "top_p": 0.9}
    stages = Decoding(strategy="sample", min_p=0.1, **options).stages(LOGITS, [0])
    names = [stage.name for stage in stages]
    assert names == ["raw", "repetition_penalty", "temperature", "top_k", "top_p", "min_p"]
    assert [s.name for s in Decoding(temperature=0.7, top_k=3).stages(LOGITS, [0])] == ["raw"]


def test_removed_tokens_are_marked():
    stage = Decoding(strategy="sample", top_k=1).stages(LOGITS, [0])[-1]
    assert stage.removed.tolist() == [False, True, True, True]


def test_stages_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        Decoding().stages(LOGITS, [0])[0].probabilities[0] = 1


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("strategy", "beam"),
        ("temperature", 0),
        ("temperature", -1.0),
        ("temperature", math.nan),
        ("temperature", math.inf),
        ("temperature", "hot"),
        ("top_k", 0),
        ("top_k", 2.5),
        ("top_k", True),
        ("top_p", 0),
        ("top_p", 1.1),
        ("min_p", -0.1),
        ("min_p", 2),
        ("repetition_penalty", 0),
        ("seed", -1),
        ("seed", 0.5),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(option, value):
    with pytest.raises(DecodingError, match=option):
        Decoding(**{option: value})


def test_top_k_above_the_vocabulary_is_refused_with_both_numbers():
    with pytest.raises(DecodingError, match=r"5.*4"):
        Decoding(strategy="sample", top_k=5).stages(LOGITS, [0])


@settings(deadline=None, max_examples=60)
@given(
    logits=st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=40),
    temperature=st.floats(0.05, 20),
    top_k=st.none() | st.integers(1, 2),
    top_p=st.none() | st.floats(0.01, 1),
    min_p=st.none() | st.floats(0, 1),
    penalty=st.floats(0.5, 2),
    seed=st.integers(0, 2**63 - 1),
)
def test_any_options_give_distributions_over_the_whole_vocabulary(
    logits, temperature, top_k, top_p, min_p, penalty, seed
):
    decoding = Decoding("sample", temperature, top_k, top_p, min_p, penalty, seed)
    stages = decoding.stages(np.array(logits, np.float32), [0])
    for stage in stages:
        assert stage.probabilities.shape == (len(logits),)
        assert stage.probabilities.sum() == pytest.approx(1)
        assert (stage.probabilities[stage.removed] == 0).all()
    picked = decoding.pick(stages[-1], 3)
    assert stages[-1].probabilities[picked] > 0
    assert decoding.pick(stages[-1], 3) == picked


def test_sampling_frequencies_follow_the_probabilities():
    stage = Decoding(strategy="sample").stages(LOGITS, [0])[-1]
    draws = [Decoding(strategy="sample", seed=s).pick(stage, 0) for s in range(2000)]
    np.testing.assert_allclose(np.bincount(draws) / 2000, [0.5, 0.3, 0.15, 0.05], atol=0.04)


def test_greedy_picks_the_most_probable_token():
    assert Decoding().pick(Decoding().stages(LOGITS[::-1].copy(), [0])[-1], 0) == 3


def test_stages_equal_the_processors_that_generate_builds(hooked):
    """The scores transformers' own generate() sampled from are the last stage's."""
    options = {"temperature": 0.7, "top_k": 4, "top_p": 0.8, "min_p": 0.05}
    trace = hooked.trace("the cat sat")
    output = hooked.model.generate(
        torch.tensor(trace.token_ids)[None],
        max_new_tokens=1,
        do_sample=True,
        return_dict_in_generate=True,
        output_scores=True,
        repetition_penalty=1.3,
        pad_token_id=0,
        **options,
    )
    decoding = Decoding(strategy="sample", repetition_penalty=1.3, **options)
    last = decoding.stages(trace.last_logits, trace.token_ids)[-1]
    np.testing.assert_allclose(last.scores, output.scores[0][0].numpy(), atol=1e-5)

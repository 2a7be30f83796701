import math
import pickle
import typing
from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig

from model_hooks import Decoding, DecodingError
from model_hooks.write.decoding import OPTIONS, STAGES, option_of, way_through
from model_hooks.write.rules import Rules

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
    filters = {"top_k": top_k, "top_p": top_p, "min_p": min_p}
    decoding = Decoding(
        "sample", temperature=temperature, repetition_penalty=penalty, seed=seed, **filters
    )
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


def in_the_middle(option):
    """A value that changes something, half way between the ends of the option's control."""
    middle = (option.low + option.highest(len(LOGITS))) / 2
    return round(middle) if option.kind == "whole" else middle


def test_the_table_has_a_row_for_every_field_but_the_strategy():
    strategy, *numbers, rules = fields(Decoding)
    assert (strategy.name, rules.name) == ("strategy", "rules")
    assert [option.name for option in OPTIONS] == [field.name for field in numbers]
    assert [option.optional for option in OPTIONS] == [field.default is None for field in numbers]


def test_the_types_of_all_fields_can_be_read_and_follow_the_table():
    strategy, *numbers, rules = typing.get_type_hints(Decoding).items()
    assert rules == ("rules", Rules)
    assert strategy == ("strategy", typing.Literal["greedy", "sample"])
    for option, (name, kind) in zip(OPTIONS, numbers, strict=True):
        number = {"whole": int, "real": float}[option.kind]
        assert (name, kind) == (option.name, number | None if option.optional else number)


@pytest.mark.parametrize("do_sample", [True, False], ids=["sample", "greedy"])
def test_the_processors_are_those_of_generate_in_its_order(hooked, do_sample):
    options = {option.name: in_the_middle(option) for option in STAGES}
    applied = [option for option in STAGES if do_sample or not option.sampling_only]
    config = GenerationConfig(
        do_sample=do_sample, **{option.name: options[option.name] for option in applied}
    )
    theirs = hooked.model._get_logits_processor(config, input_ids_seq_length=1)
    decoding = Decoding("sample" if do_sample else "greedy", **options)
    ours = decoding.processors(hooked.info.vocab_size, n_prompt=1)
    assert [type(processor) for _, processor in ours] == [type(processor) for processor in theirs]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_a_control_shows_off_and_gives_back_what_it_shows(option):
    default = getattr(Decoding(), option.name)
    assert option.read(option.shown(default, 4)) == default
    assert option.read(option.shown(in_the_middle(option), 4)) == in_the_middle(option)
    assert option.shown(-1, 4) == option.low
    assert option.shown(10**30, 4) == option.highest(4)
    assert option.low < option.highest(4)
    if option.off is not None:
        off = Decoding("sample", **{option.name: option.read(option.off)})
        assert [stage.name for stage in off.stages(LOGITS, [0])] == ["raw"]


@pytest.mark.parametrize(
    ("name", "value", "stays", "goes"),
    [
        ("top_k", 2, r"\le k", "> k"),
        ("top_p", 0.7, "< p", r"\ge p"),
        ("min_p", 0.4, r"\ge 0.4", "< 0.4"),
    ],
)
def test_a_filter_that_removes_a_token_says_so_with_its_value(name, value, stays, goes):
    option = option_of(name)
    decoding = Decoding("sample", **{option.name: value})
    stages = decoding.stages(LOGITS, [0])
    assert stages[-1].removed.tolist() == [False, False, True, True]
    (kept,), (removed,) = (way_through(stages, decoding, token_id) for token_id in (0, 2))
    assert kept.startswith(f"**{option.label}**")
    assert kept.endswith(": stays")
    assert removed.endswith(": **removed**")
    assert [stays in kept, goes in kept, stays in removed, goes in removed] == [1, 0, 0, 1]
    assert f"{value:g}" in option.why_removed(value)
    assert f"{value:g}" in removed


def test_a_tokens_way_has_the_numbers_of_each_stage_and_ends_where_it_is_removed():
    decoding = Decoding("sample", temperature=0.5, top_k=2, min_p=0.1, repetition_penalty=2.0)
    stages = decoding.stages(np.array([2.0, 1.0, -1.0, 0.5], np.float32), [0, 2])
    assert way_through(stages, decoding, 0)[:2] == (
        r"**Repetition penalty** already in the text: $\dfrac{2.0000}{2} = 1.0000$",
        r"**Temperature** $\dfrac{z}{T} = \dfrac{1.0000}{0.5} = 2.0000$",
    )
    assert way_through(stages, decoding, 2) == (
        r"**Repetition penalty** already in the text: $-1.0000 \times 2 = -2.0000$",
        r"**Temperature** $\dfrac{z}{T} = \dfrac{-2.0000}{0.5} = -4.0000$",
        "**Top-k** rank $4 > k = 2$: **removed**",
    )


def test_without_filters_scores_change_but_no_token_is_removed():
    decoding = Decoding("sample", temperature=0.5, top_k=1, top_p=0.5, min_p=0.5, seed=3)
    assert decoding.without_filters() == Decoding("sample", temperature=0.5, seed=3)
    assert decoding.filters() == ("top-k 1", "top-p 0.5", "min-p 0.5")
    assert Decoding("greedy", top_k=1).filters() == ()


def test_numbers_of_numpy_become_plain_ones():
    decoding = Decoding("sample", temperature=np.float32(0.5), top_k=np.int64(2))
    assert decoding == Decoding("sample", temperature=0.5, top_k=2)
    assert type(decoding.top_k) is int
    assert type(decoding.temperature) is float


def test_a_stage_survives_pickling():
    stage = Decoding("sample", top_k=2).stages(LOGITS, [0])[-1]
    again = pickle.loads(pickle.dumps(stage))
    assert again.name == stage.name
    np.testing.assert_array_equal(again.scores, stage.scores)
    np.testing.assert_array_equal(again.probabilities, stage.probabilities)


def test_an_option_is_found_by_its_stage():
    stages = Decoding("sample", temperature=2.0, top_k=1).stages(LOGITS, [0])
    assert [option_of(stage.name).label for stage in stages[1:]] == ["Temperature", "Top-k"]


def test_every_step_draws_for_itself():
    stage = Decoding("sample").stages(np.zeros(1000, np.float32), [0])[-1]
    draws = [Decoding("sample", seed=4).pick(stage, step_id) for step_id in range(30)]
    assert len(set(draws)) > 25
    assert draws == [Decoding("sample", seed=4).pick(stage, step_id) for step_id in range(30)]
    others = [Decoding("sample", seed=5).pick(stage, step_id) for step_id in range(30)]
    assert sum(a == b for a, b in zip(draws, others, strict=True)) < 5


def test_the_penalty_counts_the_tokens_that_it_is_given_and_no_other():
    logits = np.array([1.0, 2.0, -1.0], np.float32)
    after = Decoding(repetition_penalty=2.0).stages(logits, [1, 2])[-1]
    np.testing.assert_allclose(after.scores, [1.0, 1.0, -2.0])


def test_a_token_of_the_text_without_a_score_is_named():
    with pytest.raises(DecodingError, match=r"Token ID 4 is out of range.*from 0 to 3"):
        Decoding(repetition_penalty=2.0).stages(LOGITS, [0, 4])
    with pytest.raises(DecodingError, match="Token ID -1 is out of range"):
        Decoding().stages(LOGITS, [-1, 9])
    assert len(Decoding().stages(LOGITS, [0, 4])) == 1  # nobody looks one up

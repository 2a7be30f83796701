"""The two runs, against transformers' own `generate()`, forward hooks and torch's FLOP counter."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from model_hooks import AblateHead, Decoding, HookedModel, PromptError
from model_hooks.experiments import race as racing
from model_hooks.experiments.race import Race, SideBySide, TimedStep
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

PROMPT = (1, 2, 3, 4, 1, 5)
GREEDY = Decoding()


@pytest.fixture(autouse=True)
def _fresh(hooked):
    hooked.forget()


def stepped(model, n, decoding=GREEDY, interventions=(), prompt=PROMPT):
    pair = racing.start(model, prompt, decoding, interventions)
    for i in range(n):
        pair = racing.step_both(model, pair, off_first=i % 2 == 1)
    return pair


@pytest.fixture
def rows_run(hooked):
    """Counts the positions that really run through the first block."""
    counts = []
    handle = hooked.anatomy.blocks[0].module.register_forward_hook(
        lambda module, args, output: counts.append(
            (output[0] if isinstance(output, tuple) else output).shape[1]
        )
    )
    yield counts
    handle.remove()


def test_both_runs_write_what_generate_writes(hooked):
    ids = torch.tensor([PROMPT])
    expected = hooked.model.generate(
        ids, do_sample=False, max_new_tokens=8, pad_token_id=0, eos_token_id=None
    )[0].tolist()
    pair = stepped(hooked, 8)
    assert list(pair.on.token_ids) == list(pair.off.token_ids) == expected
    assert pair.parted_at is None
    assert pair.largest_difference < 1e-4


def test_sampling_picks_what_the_recorded_generation_picks(hooked):
    decoding = Decoding("sample", seed=3)
    steps = hooked.generate(PROMPT, decoding, max_new_tokens=6)
    pair = stepped(hooked, 6, decoding)
    assert [s.token_id for s in steps] == [s.token_id for s in pair.on.steps]


def test_rows_are_what_really_ran_even_after_others_wrote_the_same(hooked, rows_run):
    list(hooked.generate(PROMPT, max_new_tokens=3))
    pair = stepped(hooked, 1)  # what attention multiplies is looked up once
    rows_run.clear()
    pair = stepped(hooked, 3)
    assert rows_run == [6, 6, 7, 1, 1, 8]
    assert [s.rows_computed for s in pair.on.steps] == [6, 1, 1]
    assert [s.rows_read for s in pair.on.steps] == [0, 6, 7]
    assert [s.rows_computed for s in pair.off.steps] == [6, 7, 8]
    assert [s.prefill for s in pair.on.steps] == [True, False, False]


def test_flops_are_what_torch_counts(hooked):
    pair = stepped(hooked, 1)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        after = racing.step_both(hooked, pair)
    on, off = after.on.steps[-1], after.off.steps[-1]
    assert on.flops + off.flops == counter.get_total_flops()
    assert on.flops < off.flops


@pytest.mark.parametrize("model_type", ["gpt_neo", "gemma3_text", "lfm2", "mixtral"])
def test_flops_equal_those_of_the_recorded_generation(model_type):
    model = HookedModel.wrap(build(model_type), tiny_tokenizer(), model_type)
    prompt = tuple(tiny_prompt(11))
    pair = stepped(model, 3, prompt=prompt)
    model.forget()
    for run in (pair.on, pair.off):
        generation = model.start(prompt, use_cache=run.use_cache)
        for _ in range(3):
            generation = model.step(generation)
        recorded = [(s.flops, s.cache_bytes, s.rows_computed) for s in generation.steps]
        assert [(s.flops, s.cache_bytes, s.rows_computed) for s in run.steps] == recorded


def test_a_step_leaves_the_earlier_value_as_it_was(hooked):
    pair = stepped(hooked, 2)
    longer, again = (racing.step_both(hooked, pair) for _ in range(2))
    assert len(pair) == 2
    assert longer.on.token_ids == again.on.token_ids
    assert longer.on.steps[-1].rows_computed == again.on.steps[-1].rows_computed == 1
    cache = hooked.forwards.cache_for(pair.on.cached_ids, pair.on.variant, n_after=8)
    assert cache.get_seq_length() == 7


def test_the_first_steps_are_what_was_there_before_the_rest(hooked):
    pair = stepped(hooked, 2)
    longer = racing.step_both(hooked, pair)
    assert longer.first(2) == pair
    assert longer.first(3) == longer
    assert longer.first(0) == racing.start(hooked, PROMPT, GREEDY)


def test_the_first_steps_are_those_taken_one_by_one_and_as_many_as_fit(hooked):
    def rows(pair):
        return [(step.token_id, step.rows_computed) for step in (*pair.on.steps, *pair.off.steps)]

    for n_steps in (0, 1, 4):
        assert rows(racing.first_steps(hooked, PROMPT, GREEDY, n_steps)) == rows(
            stepped(hooked, n_steps)
        )
    most = hooked.info.context_size - len(PROMPT) + 1
    assert len(racing.first_steps(hooked, PROMPT, GREEDY, most + 5)) == most


def test_a_lost_cache_is_made_anew_and_costs_the_step_nothing(hooked):
    pair, expected = stepped(hooked, 3), stepped(hooked, 4)
    hooked.forget()
    after = racing.step_both(hooked, pair)
    assert after.on.token_ids == expected.on.token_ids
    assert after.on.steps[-1].rows_computed == 1
    assert after.on.steps[-1].cache_bytes == expected.on.steps[-1].cache_bytes


def test_under_interventions_both_write_what_the_recorded_generation_writes(hooked):
    ablated = (AblateHead(0, 0), AblateHead(1, 1))
    decoding = Decoding("sample", temperature=2.0, seed=1)
    generation = hooked.start(PROMPT, decoding, interventions=ablated)
    for _ in range(8):
        generation = hooked.step(generation)
    pair = stepped(hooked, 8, decoding, ablated)
    assert pair.on.token_ids == pair.off.token_ids == generation.token_ids
    whole = stepped(hooked, 1, decoding)
    assert whole.on.steps[0].margin != pytest.approx(pair.on.steps[0].margin, rel=1e-3)


def test_values_survive_pickling(hooked):
    pair = stepped(hooked, 2)
    assert pickle.loads(pickle.dumps(pair)) == pair
    assert hash(pickle.loads(pickle.dumps(pair))) == hash(pair)
    race = next(racing.race(hooked, PROMPT, GREEDY, 1, 1))
    assert pickle.loads(pickle.dumps(race)) == race


def test_context_fills_to_the_last_position_and_then_refuses(hooked):
    size = hooked.info.context_size
    prompt = (1, 2, 3) * size
    pair = stepped(hooked, 2, prompt=prompt[: size - 1])
    with pytest.raises(PromptError, match=f"reads at most {size}"):
        racing.step_both(hooked, pair)
    with pytest.raises(PromptError, match="can write at most 2 here"):
        next(racing.race(hooked, prompt[: size - 1], GREEDY, n_tokens=3))


def test_race_can_be_stopped_and_keeps_what_it_measured(hooked):
    races = racing.race(hooked, PROMPT, GREEDY, n_tokens=4, n_rounds=3)
    for _ in range(6):
        race = next(races)
    races.close()
    assert [len(pair) for pair in race.rounds] == [4, 2]
    assert race.seconds(True).shape == (1, 4)
    assert len(race.ratios) == 1


def test_race_repeats_the_tokens_and_takes_turns(hooked, monkeypatch):
    order = []
    run = HookedModel.run_unrecorded

    def noted(self, token_ids, n_cached=0, cache=None, use_cache=True):
        order.append(use_cache)
        return run(self, token_ids, n_cached, cache, use_cache)

    monkeypatch.setattr(HookedModel, "run_unrecorded", noted)
    *_, race = racing.race(hooked, PROMPT, GREEDY, n_tokens=3, n_rounds=2)
    warm_up = 2 * racing.WARM_UP_STEPS
    first, second = order[warm_up::2][:3], order[warm_up::2][3:]
    assert first == [True, False, True]
    assert second == [False, True, False]
    assert race.rounds[0].on.token_ids == race.rounds[1].on.token_ids


def typed_step(token_id, seconds):
    return TimedStep(3, token_id, 1, 2, seconds, 10, 20, margin=0.5)


def typed_pair(pair, on, off):
    on, off = (
        replace(run, steps=tuple(typed_step(*step) for step in steps))
        for run, steps in ((pair.on, on), (pair.off, off))
    )
    return SideBySide(on, off, (0.0,) * len(on.steps))


def test_ratio_is_time_without_over_time_with(hooked):
    pair = racing.start(hooked, PROMPT, GREEDY)
    one = typed_pair(pair, [(1, 1.0), (2, 1.0)], [(1, 1.0), (2, 5.0)])
    two = typed_pair(pair, [(1, 1.0), (2, 3.0)], [(1, 1.0), (2, 3.0)])
    race = Race((one, two))
    np.testing.assert_allclose(race.ratios, [3, 1])


def test_texts_part_where_their_tokens_first_differ(hooked):
    pair = racing.start(hooked, PROMPT, GREEDY)
    apart = typed_pair(pair, [(1, 1.0), (2, 1.0), (1, 1.0)], [(1, 1.0), (3, 1.0), (1, 1.0)])
    assert apart.parted_at == 1
    assert racing.step_both(hooked, apart).differences[-1] is None

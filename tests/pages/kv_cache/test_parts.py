"""What the KV cache page works out without a model, by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from model_hooks import AblateHead, Decoding, Knockout
from model_hooks.experiments.race import Race, SideBySide, TimedRun, TimedStep
from model_hooks.host import Run
from model_hooks.read.cache_sizes import PUBLIC, CacheSizes, LayerSizes
from model_hooks.read.cached import CachedLayer, CacheKind
from pages.kv_cache import contents, race, race_results, sizes, steps, steps_taken
from pages.kv_cache.full_context import without_oldest
from pages.kv_cache.measured import Result, Settings
from pages.kv_cache.tables import facts_table, steps_of

ASKED = Run("tiny", (1, 2, 3, 4), (AblateHead(0, 1),))
SMALL = CacheSizes("small", 8, (LayerSizes(2, 4, 4, 2),) * 3, 100, "float16")


def run_of(use_cache, token_ids, seconds):
    done = tuple(
        TimedStep(2 + i, token_id, 1, i, second, 100, 8, margin=0.5)
        for i, (token_id, second) in enumerate(zip(token_ids, seconds, strict=True))
    )
    return TimedRun((5, 6), Decoding(), use_cache, steps=done)


def pair_of(token_ids, on, off):
    runs = run_of(True, token_ids, on), run_of(False, token_ids, off)
    return SideBySide(*runs, (0.0,) * len(token_ids))


SETTINGS = Settings("tiny", (5, 6), 3, 2, Decoding())


@pytest.mark.parametrize(
    ("n_prompt", "context", "wanted", "n_steps"),
    [
        (4, 100, None, 6),
        (4, None, None, 6),
        (99, 100, None, 2),
        (100, 100, None, 1),
        (4, 100, 12, 12),
        (4, 10, 12, 7),
    ],
)
def test_steps_unasked_are_six_or_what_a_link_says_as_far_as_they_fit(
    hooked, n_prompt, context, wanted, n_steps
):
    info = replace(hooked.info, context_size=context)
    asked = Run("tiny", (1,) * n_prompt)
    assert steps_taken.steps_unasked(asked, info, wanted) == n_steps


def test_what_takes_long_is_not_done_unasked(hooked):
    large = replace(hooked.info, n_parameters=10**12, context_size=None)
    assert steps_taken.steps_unasked(ASKED, large, None) == 0
    assert steps_taken.steps_unasked(ASKED, large, 5) == 0
    middle = replace(large, n_parameters=124_000_000)
    n_steps = steps_taken.steps_unasked(ASKED, middle, 10_000)
    rows = sum(4 + i for i in range(n_steps))
    assert 2 * middle.n_parameters * rows < steps_taken.AGAIN_WORK
    assert 2 * middle.n_parameters * (rows + 4 + n_steps) > 0.9 * steps_taken.AGAIN_WORK
    tiny = replace(large, n_parameters=1)
    longest = steps_taken.steps_unasked(ASKED, tiny, 10**9)
    assert longest <= steps_taken.AGAIN_WORK / steps_taken.STEP_WORK


def test_an_odd_cache_is_told_in_one_sentence(hooked):
    info = hooked.info
    assert steps.kind_note(CacheKind(SMALL, ()), info) is None
    windowed = replace(SMALL, layers=(LayerSizes(2, 4, 4, 2, 9), LayerSizes(2, 4, 4, 2)))
    assert f"1 of {info.n_layers} layers look back at most 9 positions" in steps.kind_note(
        CacheKind(windowed, ()), info
    )
    assert "In 1 of" in steps.kind_note(CacheKind(None, (1,)), info)


def test_formula_of_equal_layers_is_a_product_that_gives_the_bytes():
    written = contents.formula(SMALL, 7)
    assert written == (
        "2 × 3 layers × 2 KV heads × 4 numbers × 2 bytes × 7 positions"  # noqa: RUF001
    )
    factors = [int(factor.split()[0]) for factor in written.split(" × ")]  # noqa: RUF001
    assert math.prod(factors) == SMALL.n_bytes(7)
    uneven = replace(SMALL, layers=(LayerSizes(2, 4, 4, 2), LayerSizes(1, 4, 4, 2)))
    assert contents.formula(uneven, 7) == "summed over 2 layers"


def test_layers_without_vectors_stay_in_the_table():
    kept = CachedLayer((1, 2, 7, 4), (1, 2, 7, 5), "float32", 99)
    table = contents.table_of((None, kept))
    assert table["Keys"].tolist() == ["none", "1 × 2 × 7 × 4"]  # noqa: RUF001
    assert table["Values"].tolist() == ["none", "1 × 2 × 7 × 5"]  # noqa: RUF001
    assert table["Layer"].tolist() == [0, 1]


def test_file_of_the_cache_ends_at_the_newest_position():
    key, value = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0], [6.0]])
    table = contents.vectors_of(key, value, 9)
    assert table.to_dict("list") == {
        "position": [7, 8],
        "key_0": [1, 3],
        "key_1": [2, 4],
        "value_0": [5, 6],
    }


def wanted_of(model, **changes):
    return sizes.Wanted(model, SMALL, False, 10, 2, None, 1e6)._replace(**changes)


def test_sizes_in_words_are_the_arithmetic():
    text = sizes.in_words(wanted_of(SMALL))
    per_position = 3 * 2 * (4 + 4) * 2
    assert (
        rf"**small \(loaded\)**, 2 texts of 10 positions: **{20 * per_position / 1e3:.3g}" in text
    )
    assert f"2 texts of **{int(1e6 / per_position / 2):,} positions**" in text
    assert f"**{int(1e6 / per_position / 10):,}** texts of 10" in text
    quarter = sizes.in_words(wanted_of(SMALL, stored_as="int4"))
    assert f"**{20 * per_position / 4:.0f} bytes**" in quarter
    assert "one text of 1 position:" in sizes.in_words(wanted_of(SMALL, batch=1, positions=1))


def test_table_begins_with_the_loaded_model_and_names_its_kind():
    table = sizes.table_of(wanted_of(SMALL))
    assert table["Model"].tolist() == ["small (loaded)", *(model.name for model in PUBLIC)]
    assert table["Kind"].iloc[0] == "grouped"
    assert sizes.table_of(wanted_of(SMALL, is_latent=True))["Kind"].iloc[0] == "compressed"
    without = sizes.table_of(wanted_of(PUBLIC[0], own=None))
    assert without["Model"].tolist() == [model.name for model in PUBLIC]
    mistral = table[table["Model"] == "Mistral 7B v0.1"].iloc[0]
    assert mistral["Bytes per position"] == f"{2 * 32 * 8 * 128 * 2:,}"
    assert mistral["Window"] == "4,096"


def test_dropping_the_oldest_runs_the_rest_or_hides_the_first_from_the_last():
    assert without_oldest(ASKED, 3, "recompute") == ASKED._replace(token_ids=(4,))
    hidden = without_oldest(ASKED, 2, "forget")
    assert hidden.token_ids == ASKED.token_ids
    assert hidden.interventions == (AblateHead(0, 1), Knockout(3, 0), Knockout(3, 1))


def test_a_race_is_done_by_the_positions_that_were_run():
    one = pair_of([1], [1.0], [1.0])
    two = pair_of([1, 2], [1.0, 1.0], [1.0, 1.0])
    whole = pair_of([1, 2, 3], [1.0] * 3, [1.0] * 3)
    assert race.share_done(SETTINGS, Race((one,))) == pytest.approx(2 / 9 / 2)
    assert race.share_done(SETTINGS, Race((whole, two))) == pytest.approx((1 + 5 / 9) / 2)
    assert race.share_done(SETTINGS, Race((whole, whole))) == 1
    assert not Result(SETTINGS, Race((whole, two))).is_whole
    assert not Result(SETTINGS, Race((whole,))).is_whole
    assert Result(SETTINGS, Race((whole, whole))).is_whole


def test_a_race_that_does_not_fit_says_how_many_tokens_do(hooked):
    info = replace(hooked.info, context_size=4)
    assert race.problem_of(SETTINGS, info) is None
    problem = race.problem_of(replace(SETTINGS, n_tokens=4), info)
    assert "it can write at most 3 here" in problem
    assert race.problem_of(SETTINGS, replace(info, context_size=None)) is None


def test_spread_is_the_median_between_least_and_greatest():
    assert race_results.spread(np.array([0.001, 0.003, 0.002])) == "2 ms (1 to 3)"
    assert race_results.spread(np.array([1.5])) == "1.5 s"


def test_facts_of_a_race_add_up_its_steps():
    found = Race((pair_of([1, 2], [0.1, 0.2], [0.4, 0.6]), pair_of([1, 2], [0.3, 0.2], [0.4, 0.8])))
    text = race_results.facts_of(found)
    assert "Prefill: the first token, 2 positions</th><td>200 ms (100 to 300)</td>" in text
    assert (
        "Decode: each later token</th><td>200 ms (200 to 200)</td><td>700 ms (600 to 800)" in text
    )
    assert "All 2 tokens</th><td>400 ms (300 to 500)</td><td>1.1 s (1 to 1.2)" in text
    assert "Work in all</th><td>200 FLOP</td><td>200 FLOP</td>" in text
    assert "Bytes held at the end</th><td>8 bytes</td><td>none</td>" in text
    table = race_results.table_of(found)
    assert table["round"].tolist() == [1] * 4 + [2] * 4
    assert table[table["cache"] == "off"]["seconds"].tolist() == [0.4, 0.6, 0.4, 0.8]


def test_tables_show_markup_as_it_stands():
    table = facts_table(["<b>", "&"], [("<i>", "$x$")])
    assert "<th scope='col'>&lt;b&gt;</th><th scope='col'>&amp;</th>" in table
    assert "<th scope='row'>&lt;i&gt;</th><td>$x$</td>" in table


def test_file_of_steps_has_both_runs():
    table = steps_of(pair_of([7, 8], [0.1, 0.2], [0.3, 0.4]))
    assert table["step"].tolist() == [1, 2, 1, 2]
    assert table["token_id"].tolist() == [7, 8, 7, 8]
    assert table["cache"].tolist() == ["on", "on", "off", "off"]


def test_settings_know_the_model_of_random_weights():
    assert not SETTINGS.untrained
    assert replace(SETTINGS, model_name="GPT-2 size, untrained").untrained

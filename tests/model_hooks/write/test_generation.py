import numpy as np
import pytest
import torch

from model_hooks import Decoding, DecodingError, HookedModel, PromptError
from model_hooks.write.stores import BoundedStore
from tests.model_hooks.text.decoders import KINDS
from tests.tiny_models import build

PROMPT = "the cat sat on the mat"


def ids(generation):
    return list(generation.token_ids)


def stepped(hooked, n, decoding=None, use_cache=True, prompt=PROMPT):
    generation = hooked.start(prompt, decoding, use_cache)
    for _ in range(n):
        generation = hooked.step(generation)
    return generation


@pytest.fixture(autouse=True)
def _fresh(hooked):
    hooked.forget()


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


def test_texts_written_by_turns_each_go_on_from_their_own_cache(hooked):
    texts = [hooked.start(prompt) for prompt in (PROMPT, "dog sat on", "mat mat")]
    for _ in range(3):
        texts = [hooked.step(text) for text in texts]
    rows = [[step.rows_computed for step in text.steps] for text in texts]
    assert rows == [[6, 1, 1], [3, 1, 1], [2, 1, 1]]


@pytest.mark.parametrize("use_cache", [True, False])
def test_greedy_tokens_equal_generate(hooked, use_cache):
    prompt = torch.tensor([hooked.encode(PROMPT)])
    expected = hooked.model.generate(
        prompt, do_sample=False, max_new_tokens=12, pad_token_id=0, eos_token_id=None
    )
    got = stepped(hooked, 12, use_cache=use_cache)
    assert ids(got) == expected[0].tolist()


def test_sampling_repeats_with_its_seed_and_differs_with_another(hooked):
    def sample(seed, use_cache):
        return ids(stepped(hooked, 15, Decoding(strategy="sample", seed=seed), use_cache))

    first = sample(1, True)
    hooked.forget()
    assert sample(1, True) == first
    assert sample(1, False) == first
    assert sample(2, True) != first


def test_cache_on_and_off_give_the_same_logits(hooked):
    on, off = stepped(hooked, 8), stepped(hooked, 8, use_cache=False)
    for step, other in zip(on.steps, off.steps, strict=True):
        np.testing.assert_allclose(step.logits, other.logits, atol=1e-5)


def test_rows_computed_is_what_really_ran(hooked, rows_run):
    on = stepped(hooked, 4)
    assert [step.rows_computed for step in on.steps] == rows_run == [6, 1, 1, 1]
    rows_run.clear()
    off = stepped(hooked, 4, use_cache=False)
    assert [step.rows_computed for step in off.steps] == rows_run == [6, 7, 8, 9]
    assert [step.pos for step in off.steps] == [6, 7, 8, 9]


def test_cache_bytes_are_keys_and_values_of_every_layer(hooked):
    info = hooked.info
    per_token = 2 * info.n_layers * info.n_kv_heads * info.d_head * 4
    on = stepped(hooked, 3)
    assert [step.cache_bytes for step in on.steps] == [6 * per_token, 7 * per_token, 8 * per_token]
    assert stepped(hooked, 2, use_cache=False).steps[-1].cache_bytes == 0


def test_flops_grow_with_the_text_only_without_the_cache(hooked):
    on, off = stepped(hooked, 4), stepped(hooked, 4, use_cache=False)
    assert on.steps[3].flops < 1.2 * on.steps[1].flops
    assert off.steps[3].flops > 1.2 * off.steps[1].flops
    assert on.steps[0].prefill
    assert not on.steps[1].prefill


def test_going_back_and_branching_compute_nothing_again(hooked, rows_run):
    generation = stepped(hooked, 5)
    rows_run.clear()
    earlier = generation.rewind(3)
    branch = hooked.step(earlier, choose=3)
    assert rows_run == []
    assert branch.steps[-1].reused
    assert branch.steps[-1].forced
    branch = hooked.step(branch)
    assert rows_run == [1]
    assert ids(generation)[:8] == ids(earlier)
    assert ids(hooked.step(earlier)) == ids(generation)[:9]


def test_a_branch_equals_a_prompt_of_the_same_tokens(hooked):
    branch = hooked.step(stepped(hooked, 3).back(), choose=4)
    branch = hooked.step(branch)
    fresh = hooked.step(hooked.start(ids(branch)[:-1], use_cache=False))
    np.testing.assert_allclose(branch.steps[-1].logits, fresh.steps[-1].logits, atol=1e-5)


@pytest.mark.parametrize("use_cache", [True, False])
def test_the_trace_of_a_generation_equals_the_trace_of_its_text(hooked, use_cache):
    generation = stepped(hooked, 5, use_cache=use_cache)
    grown, fresh = generation.trace(), hooked.trace(ids(generation))
    assert grown.tokens == fresh.tokens
    np.testing.assert_allclose(grown.last_logits, fresh.last_logits, atol=1e-5)
    for layer in range(hooked.info.n_layers):
        np.testing.assert_allclose(grown.attention(layer), fresh.attention(layer), atol=1e-5)
        for part in ("query", "key", "value", "resid_pre", "attn_out", "mlp_out", "resid_post"):
            np.testing.assert_allclose(
                getattr(grown.layers[layer], part), getattr(fresh.layers[layer], part), atol=1e-5
            )


def test_the_step_after_a_trace_runs_nothing(hooked, rows_run):
    generation = stepped(hooked, 2)
    generation.trace()
    rows_run.clear()
    hooked.step(generation)
    assert rows_run == []


def test_a_prompt_edited_at_its_end_goes_on_from_what_is_kept(hooked, rows_run):
    prompt = [1 + i % 5 for i in range(24)]
    stepped(hooked, 1, prompt=prompt)
    rows_run.clear()
    edited = hooked.step(hooked.start([*prompt[:20], 5, 5, 1]))
    assert rows_run == [3]
    fresh = hooked.trace(ids(edited)[:-1])
    np.testing.assert_allclose(edited.steps[0].logits, fresh.last_logits, atol=1e-5)
    np.testing.assert_allclose(edited.back().trace().attention(1), fresh.attention(1), atol=1e-5)


def test_losing_the_kept_caches_only_costs_time(hooked):
    generation = stepped(hooked, 4)
    expected = ids(stepped(hooked, 6))
    hooked.forget()
    assert ids(hooked.step(hooked.step(generation))) == expected


def test_a_step_describes_its_distribution(hooked):
    step = stepped(hooked, 1, Decoding(strategy="sample", temperature=2.0, seed=5)).steps[0]
    p = np.exp(step.logits.astype(float)) / np.exp(step.logits.astype(float)).sum()
    assert step.raw_probability == pytest.approx(p[step.token_id], rel=1e-5)
    assert step.rank == 1 + (p > p[step.token_id]).sum()
    assert step.entropy_bits == pytest.approx(-(p * np.log2(p)).sum(), rel=1e-5)
    hot = np.sqrt(p) / np.sqrt(p).sum()
    assert step.probability == pytest.approx(hot[step.token_id], rel=1e-4)


def test_a_forced_token_that_a_filter_removed_has_probability_zero(hooked):
    generation = hooked.start(PROMPT, Decoding(strategy="sample", top_k=1))
    worst = int(np.argmin(generation.next_logits()))
    assert hooked.step(generation, choose=worst).steps[0].probability == 0


def test_generate_stops_after_the_token_that_ends_a_text(hooked, monkeypatch):
    prompt = hooked.encode(PROMPT)
    first = stepped(hooked, 1).steps[0].token_id
    monkeypatch.setattr(hooked.model.generation_config, "eos_token_id", first)
    assert [step.token_id for step in hooked.generate(prompt, max_new_tokens=9)] == [first]


def test_going_back_too_far_says_how_far_one_can_go(hooked):
    with pytest.raises(DecodingError, match="2 generated"):
        stepped(hooked, 2).rewind(3)
    with pytest.raises(DecodingError, match="0 generated"):
        hooked.start(PROMPT).back()


def test_a_full_context_is_one_sentence_and_loses_nothing(hooked):
    size = hooked.info.context_size
    if size > 64:
        pytest.skip("a context of this size takes long to fill")
    generation = stepped(hooked, size - 6 + 1)
    assert generation.is_full
    with pytest.raises(PromptError, match=f"context is full.*{size}"):
        hooked.step(generation)
    assert len(generation.token_ids) == size + 1


def test_a_token_id_out_of_range_is_refused(hooked):
    with pytest.raises(PromptError, match="99 is out of range"):
        hooked.step(hooked.start(PROMPT), choose=99)


def test_decoding_can_change_in_the_middle(hooked):
    generation = stepped(hooked, 2).with_decoding(Decoding(strategy="sample", temperature=5.0))
    assert hooked.step(generation).steps[-1].probability != generation.steps[-1].probability
    with pytest.raises(DecodingError, match="top_k"):
        generation.with_decoding(Decoding(strategy="sample", top_k=10**6))


def test_the_store_drops_what_was_used_least_recently():
    store = BoundedStore(max_bytes=10, nbytes=lambda value: value)
    store.put("a", 4)
    store.put("b", 4)
    store.get("a")
    store.put("c", 4)
    assert store.get("b") is None
    assert store.get("a") == store.get("c") == 4
    store.put("huge", 99)
    assert [key for key, _ in store.items()] == ["huge"]


def test_cache_that_was_dropped_is_counted_as_computed_anew(hooked, rows_run):
    generation = stepped(hooked, 2)
    hooked.forget()
    rows_run.clear()
    assert hooked.step(generation).steps[-1].rows_computed == sum(rows_run) == 8


def test_generated_text_is_what_it_adds_to_the_prompts():
    tokenizer = KINDS["replace_fuse_strip"]()
    model = HookedModel.wrap(build("llama"), tokenizer, "spaces")
    generation = model.start("play")
    for spelling in ("▁pl", "ay", "."):
        generation = model.step(generation, choose=tokenizer.convert_tokens_to_ids(spelling))
    assert generation.text == " play."
    assert [step.token for step in generation.steps] == [" pl", "ay", "."]
    assert "".join(generation.tokens) == tokenizer.decode(generation.token_ids)

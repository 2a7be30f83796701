"""Many texts at once are the texts written one by one; beams are those of generate()."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from model_hooks import BrokenModelError, Decoding, HookedModel, PromptError
from model_hooks.experiments.continuations import continue_text, room, search_beams, text_log_prob
from tests import tiny_models
from tests.conftest import WORDS, tiny_llama, with_random_weights

PROMPT = "the cat sat"
SAMPLE = Decoding("sample", temperature=1.3, top_k=5, repetition_penalty=1.2)


@torch.inference_mode()
def log_probs(hooked, ids):
    """Log-probabilities of the next token, from the model alone, without a cache."""
    logits = hooked.model(torch.tensor([list(ids)]), use_cache=False).logits[0, -1]
    return torch.log_softmax(logits.double(), -1).tolist()


@pytest.fixture
def ending(hooked, monkeypatch):
    """The same model, with a token that ends a text."""
    monkeypatch.setattr(hooked.model.generation_config, "eos_token_id", WORDS.index("mat"))
    return hooked


def test_each_text_is_the_one_written_alone_with_its_seed(hooked):
    ids = hooked.encode(PROMPT)
    texts = continue_text(hooked, ids, SAMPLE, 8, seeds=range(6))
    for seed, text in enumerate(texts):
        alone = [step.token_id for step in hooked.generate(ids, replace(SAMPLE, seed=seed), 8)]
        assert list(text.token_ids) == alone
    assert len({text.token_ids for text in texts}) > 1


def test_texts_stop_where_they_end(ending):
    texts = continue_text(ending, ending.encode(PROMPT), Decoding("sample"), 12, seeds=range(8))
    assert any(text.ended for text in texts)
    for text in texts:
        assert text.ended == (text.token_ids[-1] == WORDS.index("mat"))
        assert WORDS.index("mat") not in text.token_ids[:-1]
        assert len(text.log_probs) == len(text.token_ids)


def test_log_probabilities_are_the_models_own(hooked):
    ids = hooked.encode(PROMPT)
    text = continue_text(hooked, ids, SAMPLE, 4, seeds=[3])[0]
    expected = [log_probs(hooked, [*ids, *text.token_ids[:i]])[text.token_ids[i]] for i in range(4)]
    np.testing.assert_allclose(text.log_probs, expected, atol=1e-5)
    assert text_log_prob(hooked, ids, text.token_ids) == pytest.approx(sum(expected), abs=1e-5)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_beams_are_those_of_generate_run_separately(ending, penalty):
    ids = ending.encode(PROMPT)
    found = search_beams(ending, ids, 3, 6, penalty)
    config = GenerationConfig(
        num_beams=3, num_return_sequences=3, max_new_tokens=6, length_penalty=penalty,
        eos_token_id=WORDS.index("mat"), pad_token_id=0, return_dict_in_generate=True,
        output_scores=True, use_cache=False,
    )  # fmt: skip
    prompt = torch.tensor([ids])
    alone = ending.model.generate(
        prompt, attention_mask=torch.ones_like(prompt), generation_config=config
    )
    for text, score, sequence in zip(
        found.results, found.scores, alone.sequences[:, len(ids) :].tolist(), strict=True
    ):
        assert list(text.token_ids) == sequence[: len(text.token_ids)]
        assert score == pytest.approx(text.total / len(text.token_ids) ** penalty, abs=1e-5)
    np.testing.assert_allclose(found.scores, alone.sequences_scores.tolist(), atol=1e-5)


def test_as_many_beams_as_tokens_find_the_best_of_all_texts(hooked):
    ids = hooked.encode(PROMPT)
    found = search_beams(hooked, ids, len(WORDS), 2)
    first = log_probs(hooked, ids)
    second = [log_probs(hooked, [*ids, a]) for a in range(len(WORDS))]
    totals = {(a, b): first[a] + second[a][b] for a, b in product(range(len(WORDS)), repeat=2)}
    best = sorted(totals, key=lambda pair: -totals[pair])[: len(WORDS)]
    assert [text.token_ids for text in found.results] == best
    np.testing.assert_allclose([text.total for text in found.results],
                               [totals[pair] for pair in best], atol=1e-5)  # fmt: skip


def test_every_step_keeps_what_a_search_by_hand_keeps(hooked):
    ids, n_beams, n_tokens = hooked.encode(PROMPT), 3, 5
    found = search_beams(hooked, ids, n_beams, n_tokens)
    kept = {(): 0.0}
    assert len(found.steps) == n_tokens
    for step in found.steps:
        tried = {
            (*text, token): total + log_prob
            for text, total in kept.items()
            for token, log_prob in enumerate(log_probs(hooked, [*ids, *text]))
        }
        best = sorted(tried, key=lambda text: -tried[text])[:n_beams]
        kept = {text: tried[text] for text in best}
        assert [text.token_ids for text in step] == best
        np.testing.assert_allclose([t.total for t in step], list(kept.values()), atol=1e-4)


def test_one_beam_is_greedy(hooked):
    ids = hooked.encode(PROMPT)
    found = search_beams(hooked, ids, 1, 5)
    assert found.results == (continue_text(hooked, ids, Decoding(), 5, [0])[0],)
    assert [len(step[0].token_ids) for step in found.steps] == [1, 2, 3, 4, 5]


def test_more_beams_than_the_vocabulary_are_cut_to_it(ending):
    found = search_beams(ending, ending.encode(PROMPT), 50, 3)
    assert found.n_beams == len(WORDS) - 1
    assert all(text.total > -1e6 for step in found.steps for text in step)


def test_checkpoints_own_options_do_not_interfere(hooked, monkeypatch):
    ids = hooked.encode(PROMPT)
    texts = continue_text(hooked, ids, SAMPLE, 6, range(3)), search_beams(hooked, ids, 3, 6)
    own = {"repetition_penalty": 9.0, "no_repeat_ngram_size": 1, "do_sample": True,
           "temperature": 3.0, "length_penalty": 5.0, "num_beams": 2}  # fmt: skip
    for name, value in own.items():
        monkeypatch.setattr(hooked.model.generation_config, name, value)
    again = continue_text(hooked, ids, SAMPLE, 6, range(3)), search_beams(hooked, ids, 3, 6)
    assert again == texts


@pytest.mark.parametrize("family", ["mixtral", "bloom", "gemma2", "jamba"])
def test_other_families_write_the_same_texts_together_and_alone(family):
    model = tiny_models.build(family)
    hooked = HookedModel.wrap(model, tiny_models.tiny_tokenizer(), family)
    ids = list(range(10, 22))
    texts = continue_text(hooked, ids, Decoding("sample", top_k=20), 5, range(3))
    for seed, text in enumerate(texts):
        decoding = Decoding("sample", top_k=20, seed=seed)
        alone = [step.token_id for step in hooked.generate(ids, decoding, 5)]
        assert list(text.token_ids) == alone[: len(text.token_ids)]
    found = search_beams(hooked, ids, 3, 4)
    best = found.results[0]
    assert best.total == pytest.approx(text_log_prob(hooked, ids, best.token_ids), abs=1e-3)


def test_full_context_is_refused_with_the_numbers(hooked):
    size = hooked.info.context_size
    ids = [1] * size
    assert room(hooked, size) == 0
    with pytest.raises(PromptError, match=f"{size} tokens and this model reads at most {size}"):
        continue_text(hooked, ids, Decoding(), 1, [0])
    with pytest.raises(PromptError, match="room for 1 more, not for 2"):
        search_beams(hooked, ids[1:], 2, 2)


def test_values_that_are_no_numbers_are_told(tokenizer):
    model = with_random_weights(tiny_llama)
    hooked = HookedModel.wrap(model, tokenizer, "broken")
    with torch.no_grad():
        model.lm_head.weight[3] = float("nan")
    ids = hooked.encode(PROMPT)
    with pytest.raises(BrokenModelError, match="not numbers"):
        continue_text(hooked, ids, Decoding("sample"), 3, [0])
    with pytest.raises(BrokenModelError, match="not numbers"):
        search_beams(hooked, ids, 2, 3)


class StoppedError(BaseException):
    """As Streamlit raises it when the reader clicks on."""


@pytest.mark.parametrize("run", [
    lambda hooked, ids, on_step: continue_text(hooked, ids, SAMPLE, 9, [0], on_step),
    lambda hooked, ids, on_step: search_beams(hooked, ids, 2, 9, on_step=on_step),
])  # fmt: skip
def test_reader_can_stop_a_run(hooked, run):
    seen = []

    def on_step(n_done):
        seen.append(n_done)
        if n_done == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(hooked, hooked.encode(PROMPT), on_step)
    assert seen == [0, 1, 2, 3]

"""Beams are those of generate(), and those of a search written out by hand."""

import pickle
from itertools import product

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from model_hooks import AblateHead, AblateMLP, BrokenModelError, Decoding, HookedModel, PromptError
from model_hooks.experiments.beams import search_beams
from model_hooks.experiments.continuations import write_texts
from tests import tiny_models
from tests.conftest import WORDS, tiny_llama, with_random_weights

IDS = (1, 2, 3)


def searched(*args):
    *_, found = search_beams(*args)
    return found


@torch.inference_mode()
def log_probs(hooked, ids, interventions=()):
    """Log-probabilities of the next token, without a cache."""
    logits = torch.tensor(hooked.trace(ids, interventions).last_logits)
    return torch.log_softmax(logits.double(), -1).tolist()


@pytest.fixture
def ending(hooked, monkeypatch):
    """The same model, with a token that ends a text."""
    monkeypatch.setattr(hooked.model.generation_config, "eos_token_id", WORDS.index("mat"))
    return hooked


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_beams_are_those_of_generate_run_separately(ending, penalty):
    found = searched(ending, IDS, 3, 6, penalty)
    config = GenerationConfig(
        num_beams=3,
        num_return_sequences=3,
        max_new_tokens=6,
        length_penalty=penalty,
        eos_token_id=WORDS.index("mat"),
        pad_token_id=0,
        return_dict_in_generate=True,
        output_scores=True,
        use_cache=False,
    )
    prompt = torch.tensor([IDS])
    alone = ending.model.generate(
        prompt, attention_mask=torch.ones_like(prompt), generation_config=config
    )
    for text, score, sequence in zip(
        found.results, found.scores, alone.sequences[:, len(IDS) :].tolist(), strict=True
    ):
        assert list(text.token_ids) == sequence[: len(text.token_ids)]
        assert score == pytest.approx(text.total / len(text.token_ids) ** penalty, abs=1e-5)
    np.testing.assert_allclose(found.scores, alone.sequences_scores.tolist(), atol=1e-5)


def test_as_many_beams_as_tokens_find_the_best_of_all_texts(hooked):
    found = searched(hooked, IDS, len(WORDS), 2)
    first = log_probs(hooked, IDS)
    second = [log_probs(hooked, [*IDS, a]) for a in range(len(WORDS))]
    totals = {(a, b): first[a] + second[a][b] for a, b in product(range(len(WORDS)), repeat=2)}
    best = sorted(totals, key=lambda pair: -totals[pair])[: len(WORDS)]
    assert [text.token_ids for text in found.results] == best
    expected = [totals[pair] for pair in best]
    np.testing.assert_allclose([text.total for text in found.results], expected, atol=1e-5)


@pytest.mark.parametrize(
    "interventions", [(), (AblateHead(0, 0), AblateMLP(1))], ids=["whole", "ablated"]
)
def test_every_step_keeps_what_a_search_by_hand_keeps(hooked, interventions):
    n_beams, n_tokens = 3, 5
    *growing, found = search_beams(hooked, IDS, n_beams, n_tokens, 0.0, interventions)
    kept = {(): 0.0}
    assert len(found.steps) == n_tokens
    for step in found.steps:
        tried = {
            (*text, token): total + log_prob
            for text, total in kept.items()
            for token, log_prob in enumerate(log_probs(hooked, [*IDS, *text], interventions))
        }
        best = sorted(tried, key=lambda text: -tried[text])[:n_beams]
        kept = {text: tried[text] for text in best}
        assert [text.token_ids for text in step] == best
        np.testing.assert_allclose([t.total for t in step], list(kept.values()), atol=1e-4)
    for n_steps, search in enumerate(growing, 1):
        assert search.steps == found.steps[:n_steps]
        assert search.results == ()


def test_one_beam_is_greedy(hooked):
    *growing, found = search_beams(hooked, IDS, 1, 5)
    *_, greedy = write_texts(hooked, IDS, Decoding(), 5, (0,))
    assert found.results == greedy
    assert [len(step[0].token_ids) for step in found.steps] == [1, 2, 3, 4, 5]
    assert len(growing) == 4


def test_more_beams_than_the_vocabulary_are_cut_to_it(ending):
    found = searched(ending, IDS, 50, 3)
    assert found.n_beams == len(WORDS) - 1
    assert all(text.total > -1e6 for step in found.steps for text in step)


def test_checkpoints_own_options_do_not_interfere(hooked, monkeypatch):
    before = searched(hooked, IDS, 3, 6)
    own = {"repetition_penalty": 9.0, "temperature": 3.0, "length_penalty": 5.0, "num_beams": 2}
    own |= {"suppress_tokens": [*range(4)], "bad_words_ids": [[5]], "min_length": 30}
    for name, value in own.items():
        monkeypatch.setattr(hooked.model.generation_config, name, value)
    assert searched(hooked, IDS, 3, 6) == before


@pytest.mark.parametrize("family", ["mixtral", "bloom", "gemma2", "jamba", "inkling2_text"])
def test_texts_of_other_families_are_as_probable_as_a_plain_run_says(family):
    """One of these has fewer logits than its vocabulary has tokens."""
    model = tiny_models.build(family)
    hooked = HookedModel.wrap(model, tiny_models.tiny_tokenizer(), family)
    ids = tuple(range(10, 22))
    for found in searched(hooked, ids, 3, 4).results:
        with torch.no_grad():
            logits = model(torch.tensor([[*ids, *found.token_ids]])).logits[0]
        said = torch.log_softmax(logits, -1)[len(ids) - 1 : -1]
        expected = sum(said[i, token_id].item() for i, token_id in enumerate(found.token_ids))
        assert found.total == pytest.approx(expected, abs=1e-3)


def test_a_context_is_filled_to_one_token_beyond_and_no_further(hooked):
    size = hooked.info.context_size
    ids = (1, 2, 3, 4) * (size // 4)
    found = searched(hooked, ids[1:], 2, 2)
    assert len(found.results[0].token_ids) == 2
    with pytest.raises(PromptError, match="can write at most 2 here"):
        searched(hooked, ids[1:], 2, 3)


def test_values_that_are_no_numbers_are_told(tokenizer):
    model = with_random_weights(tiny_llama)
    hooked = HookedModel.wrap(model, tokenizer, "broken")
    with torch.no_grad():
        model.lm_head.weight[3] = float("nan")
    with pytest.raises(BrokenModelError, match="not numbers"):
        searched(hooked, IDS, 2, 3)


def test_a_reader_who_leaves_stops_the_search(hooked):
    runs = []
    handle = hooked.model.register_forward_hook(lambda *_: runs.append(1))
    search = search_beams(hooked, IDS, 2, 25)
    next(search)
    search.close()
    assert 2 <= len(runs) <= 5
    handle.remove()


def test_a_search_survives_pickling(hooked):
    found = searched(hooked, IDS, 2, 3)
    assert pickle.loads(pickle.dumps(found)) == found

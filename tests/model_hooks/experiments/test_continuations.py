"""Many texts at once are the texts written one by one, with the model's own log-probabilities."""

import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from model_hooks import (
    AblateHead,
    AblateMLP,
    BrokenModelError,
    Decoding,
    HookedModel,
    InterventionError,
    PromptError,
)
from model_hooks.experiments.continuations import text_log_prob, write_texts
from model_hooks.write.room import room
from tests import tiny_models
from tests.conftest import WORDS, tiny_llama, with_random_weights

IDS = (1, 2, 3)
SAMPLE = Decoding("sample", temperature=1.3, top_k=5, repetition_penalty=1.2)
OFF = (AblateHead(0, 1), AblateMLP(1))


def written(*args):
    *_, texts = write_texts(*args)
    return texts


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
    texts = written(hooked, IDS, SAMPLE, 8, tuple(range(6)))
    for seed, text in enumerate(texts):
        alone = [step.token_id for step in hooked.generate(IDS, replace(SAMPLE, seed=seed), 8)]
        assert list(text.token_ids) == alone
    assert len({text.token_ids for text in texts}) > 1


def test_texts_grow_by_a_token_and_end_as_they_are_at_last(hooked):
    *growing, last = write_texts(hooked, IDS, SAMPLE, 5, (0, 1))
    assert [len(texts[0].token_ids) for texts in growing] == [1, 2, 3, 4]
    for texts in growing:
        for text, whole in zip(texts, last, strict=True):
            assert text.token_ids == whole.token_ids[: len(text.token_ids)]
            assert text.log_probs == whole.log_probs[: len(text.token_ids)]


def test_under_interventions_each_text_is_the_one_written_alone_under_them(hooked):
    decoding = Decoding("sample", temperature=1.5)
    texts = written(hooked, IDS, decoding, 6, tuple(range(5)), OFF)
    for seed, text in enumerate(texts):
        generation = hooked.start(IDS, replace(decoding, seed=seed), interventions=OFF)
        for _ in range(6):
            generation = hooked.step(generation)
        assert text.token_ids == generation.token_ids[len(IDS) :]
        expected = text_log_prob(hooked, IDS, text.token_ids, OFF)
        assert text.total == pytest.approx(expected, abs=1e-4)
    assert texts != written(hooked, IDS, decoding, 6, tuple(range(5)))
    with pytest.raises(InterventionError, match="layer 9"):
        written(hooked, IDS, decoding, 6, (0,), (AblateMLP(9),))


def test_interventions_change_no_other_threads_run(hooked):
    whole, found = hooked.trace(IDS).last_logits, []
    texts = write_texts(hooked, IDS, SAMPLE, 4, (0,), OFF)
    for _ in texts:
        found.append(hooked.trace(IDS).last_logits)
        thread = threading.Thread(target=lambda: found.append(hooked.trace(IDS).last_logits))
        thread.start()
        thread.join()
    for logits in found:
        np.testing.assert_array_equal(logits, whole)


def test_texts_stop_where_they_end(ending):
    texts = written(ending, IDS, Decoding("sample"), 12, tuple(range(8)))
    assert any(text.ended for text in texts)
    for text in texts:
        assert text.ended == (text.token_ids[-1] == WORDS.index("mat"))
        assert WORDS.index("mat") not in text.token_ids[:-1]
        assert len(text.log_probs) == len(text.token_ids)


def test_log_probabilities_are_the_models_own(hooked):
    text = written(hooked, IDS, SAMPLE, 4, (3,))[0]
    expected = [log_probs(hooked, [*IDS, *text.token_ids[:i]])[text.token_ids[i]] for i in range(4)]
    np.testing.assert_allclose(text.log_probs, expected, atol=1e-5)
    assert text_log_prob(hooked, IDS, text.token_ids) == pytest.approx(sum(expected), abs=1e-5)


def test_checkpoints_own_options_do_not_interfere(hooked, monkeypatch):
    texts = written(hooked, IDS, SAMPLE, 6, (0, 1, 2))
    own = {"repetition_penalty": 9.0, "no_repeat_ngram_size": 1, "do_sample": True}
    own |= {"suppress_tokens": [*range(4)], "bad_words_ids": [[5]], "min_length": 30}
    for name, value in own.items():
        monkeypatch.setattr(hooked.model.generation_config, name, value)
    assert written(hooked, IDS, SAMPLE, 6, (0, 1, 2)) == texts


@pytest.mark.parametrize("family", ["mixtral", "bloom", "gemma2", "jamba"])
def test_other_families_write_the_same_texts_together_and_alone(family):
    model = tiny_models.build(family)
    hooked = HookedModel.wrap(model, tiny_models.tiny_tokenizer(), family)
    ids = tuple(range(10, 22))
    texts = written(hooked, ids, Decoding("sample", top_k=20), 5, (0, 1, 2))
    for seed, text in enumerate(texts):
        decoding = Decoding("sample", top_k=20, seed=seed)
        alone = [step.token_id for step in hooked.generate(ids, decoding, 5)]
        assert list(text.token_ids) == alone[: len(text.token_ids)]


def test_a_context_is_filled_to_one_token_beyond_and_no_further(hooked):
    size = hooked.info.context_size
    ids = (1, 2, 3, 4) * (size // 4)
    [text] = written(hooked, ids[1:], SAMPLE, room(size, size - 1), (0,))
    assert len(text.token_ids) == 2
    assert text_log_prob(hooked, ids[1:], text.token_ids) == pytest.approx(text.total, abs=1e-4)
    with pytest.raises(PromptError, match="can write at most 1 here"):
        written(hooked, ids, SAMPLE, 2, (0,))


def test_values_that_are_no_numbers_are_told(tokenizer):
    model = with_random_weights(tiny_llama)
    hooked = HookedModel.wrap(model, tokenizer, "broken")
    with torch.no_grad():
        model.lm_head.weight[3] = float("nan")
    with pytest.raises(BrokenModelError, match="not numbers"):
        written(hooked, IDS, Decoding("sample"), 3, (0,))


def test_a_reader_who_leaves_stops_the_run(hooked):
    runs = []
    handle = hooked.model.register_forward_hook(lambda *_: runs.append(1))
    texts = write_texts(hooked, IDS, SAMPLE, 25, (0,))
    next(texts)
    texts.close()
    assert 2 <= len(runs) <= 5
    handle.remove()


def test_texts_survive_pickling(hooked):
    texts = written(hooked, IDS, SAMPLE, 3, (0, 1))
    assert pickle.loads(pickle.dumps(texts)) == texts

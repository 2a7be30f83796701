"""A model's own settings: greedy decoding without options writes what `generate()` writes."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig

from model_hooks import Decoding, DecodingError, HookedModel, load_model
from model_hooks.write import rules
from model_hooks.write.own import own_decoding, own_settings
from model_hooks.write.rules import NO_RULES, Rules
from model_hooks.write.writing import write_tokens
from tests.tiny_models import build, tiny_prompt, tiny_tokenizer

IDS = tiny_prompt(8)
N_TOKENS = 30


@pytest.fixture(scope="module")
def model():
    return HookedModel.wrap(build("llama"), tiny_tokenizer(), "llama")


@pytest.fixture(scope="module")
def plain(model):
    """What greedy decoding writes without any setting."""
    return [step.token_id for step in model.generate(IDS, Decoding(), N_TOKENS)]


def generated(hooked, **own):
    """What transformers writes by itself with these settings in generation_config.json."""
    ids = torch.tensor([IDS])
    config = GenerationConfig(pad_token_id=0, max_new_tokens=N_TOKENS, **own)
    mask = torch.ones_like(ids)
    out = hooked.model.generate(ids, attention_mask=mask, generation_config=config, do_sample=False)
    return out[0, len(IDS) :].tolist()


def with_settings(model, monkeypatch, **own):
    said = own_settings(GenerationConfig(**own))
    monkeypatch.setattr(model, "info", replace(model.info, generation_settings=said))
    ends = own.get("eos_token_id")
    monkeypatch.setattr(model.model.generation_config, "eos_token_id", ends)
    return model


def own_of(plain):
    """Settings that forbid what greedy decoding would write."""
    first, second, third = plain[:3]
    return {
        "penalty": {"repetition_penalty": 20.0},
        "bigrams": {"no_repeat_ngram_size": 2},
        "single tokens": {"no_repeat_ngram_size": 1},
        "suppressed": {"suppress_tokens": [first, third]},
        "suppressed first": {"begin_suppress_tokens": [first]},
        "bad words": {"bad_words_ids": [[first, second], [third]]},
        "not too short": {"min_new_tokens": 5, "eos_token_id": [third]},
        "not short in all": {"min_length": len(IDS) + 6, "eos_token_id": second},
        "sampling, off": {"do_sample": True, "temperature": 0.5, "top_k": 3, "min_length": 3},
        "all": {
            "repetition_penalty": 1.3,
            "no_repeat_ngram_size": 3,
            "bad_words_ids": [[first], [third]],
            "suppress_tokens": [second],
            "min_new_tokens": 4,
            "eos_token_id": [third],
        },
    }


@pytest.mark.parametrize("kind", own_of([0, 1, 2]))
def test_the_default_writes_what_greedy_generate_writes(model, plain, monkeypatch, kind):
    own = own_of(plain)[kind]
    with_settings(model, monkeypatch, **own)
    expected = generated(model, **own)
    steps = [*model.generate(IDS, max_new_tokens=N_TOKENS)]
    assert [step.token_id for step in steps] == expected
    assert all(step.probability == step.stages[-1].probabilities.max() for step in steps)
    assert (expected != plain) == (kind != "sampling, off")
    assert own_decoding(model.info.generation_settings, model.info.vocab_size).left_out == ()
    written = write_tokens(model, tuple(IDS), (), model.default_decoding, N_TOKENS)
    assert [step.token_id for step in written] == expected
    generation = model.start(IDS)
    for token_id in expected:
        assert int(generation.next_stages()[-1].scores.argmax()) == token_id
        generation = model.step(generation, choose=token_id)
        assert generation.steps[-1].probability > 0


def test_a_folders_own_settings_are_those_of_its_file(tmp_path, model, plain):
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    said = {
        "repetition_penalty": 20.0,
        "temperature": 0.6,
        "top_k": 20,
        "do_sample": True,
        "num_beams": 3,
        "max_length": 4096,
        "chat_format": "of somebody else",
    }
    (tmp_path / "generation_config.json").write_text(json.dumps(said))
    opened = load_model(str(tmp_path))
    known = {name: said[name] for name in said if name not in ("max_length", "chat_format")}
    assert dict(opened.info.generation_settings) == known
    assert opened.default_decoding == Decoding(temperature=0.6, top_k=20, repetition_penalty=20.0)
    steps = opened.generate(IDS, max_new_tokens=N_TOKENS)
    theirs = generated(model, repetition_penalty=20.0)
    assert [step.token_id for step in steps] == theirs != plain
    own = own_decoding(opened.info.generation_settings, opened.info.vocab_size)
    assert own.left_out == (("num_beams", "3"),)
    assert own.decoding == replace(opened.default_decoding, strategy="sample")


def test_what_cannot_be_done_is_told_and_spoils_nothing():
    said = {
        "repetition_penalty": 1.2,
        "temperature": 0.0,
        "top_p": "half",
        "top_k": 10**6,
        "typical_p": 0.9,
        "suppress_tokens": [-1],
        "bad_words_ids": [3],
        "min_length": "long",
        "begin_suppress_tokens": [1],
    }
    config = GenerationConfig()
    vars(config).update(said)
    own = own_decoding(own_settings(config), 40)
    rules = Rules(begin_suppress_tokens=(1,))
    assert own.decoding == Decoding(repetition_penalty=1.2, rules=rules)
    assert own.left_out == (
        ("bad_words_ids", "(3,)"),
        ("min_length", "long"),
        ("suppress_tokens", "(-1,)"),
        ("temperature", "0.0"),
        ("top_p", "half"),
        ("typical_p", "0.9"),
    )


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
VALUES = VALUES | st.lists(VALUES, max_size=3) | st.lists(st.lists(st.integers()), max_size=3)
NAMES = [name for name in vars(GenerationConfig()) if not name.startswith("_")]


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6))
def test_whatever_a_file_says_a_decoding_comes_of_it(said):
    config = GenerationConfig()
    vars(config).update(said)
    known = own_settings(config)
    own = own_decoding(known, 40)
    hash(known)
    stages = own.decoding.stages(torch.arange(40.0).numpy(), [3, 4, 5])
    assert stages[-1].probabilities.sum() == pytest.approx(1)


def test_a_rule_that_leaves_nothing_gives_way():
    logits = torch.arange(4.0).numpy()
    rules = Rules(suppress_tokens=(0, 1, 2, 3))
    for decoding in (Decoding(rules=rules), Decoding(no_repeat_ngram_size=1)):
        last = decoding.stages(logits, [0, 1, 2, 3])[-1]
        assert last.scores.tolist() == logits.tolist()


def test_nonsense_is_refused_with_its_name():
    for name, value in {
        "suppress_tokens": ("a",),
        "begin_suppress_tokens": 3,
        "bad_words_ids": ((1, -2),),
        "min_length": -1,
        "min_new_tokens": 1.5,
    }.items():
        with pytest.raises(DecodingError, match=name):
            Rules(**{name: value})
    with pytest.raises(DecodingError, match="at most"):
        Rules(bad_words_ids=((1,),) * 3000)


def test_names_of_tokens_beyond_the_vocabulary_forbid_nothing():
    rules = Rules(bad_words_ids=((99,), (1, 99)), suppress_tokens=(98,))
    stages = Decoding(rules=rules).stages(torch.arange(4.0).numpy(), [0, 1])
    assert not stages[-1].removed.any()


def test_without_filters_there_are_no_rules():
    rules = Rules(suppress_tokens=(1,))
    decoding = Decoding("sample", top_k=2, no_repeat_ngram_size=2, rules=rules)
    assert decoding.filters() == ("no-repeat n-gram size 2", "top-k 2", "the model's rules")
    assert decoding.without_filters() == Decoding("sample", rules=NO_RULES)


def test_as_many_token_ids_as_are_allowed_and_no_more(monkeypatch):
    for limit in ("MAX_IDS", "MAX_SEQUENCES", "MAX_SEQUENCE"):
        monkeypatch.setattr(rules, limit, 3)
    for name, one in {
        "suppress_tokens": 1,
        "begin_suppress_tokens": 1,
        "ends": 1,
        "bad_words_ids": (1, 1, 1),
    }.items():
        assert getattr(Rules(**{name: (one,) * 3}), name) == (one,) * 3
        with pytest.raises(DecodingError, match="at most"):
            Rules(**{name: (one,) * 4})
    with pytest.raises(DecodingError, match="at most"):
        Rules(bad_words_ids=((1,) * 4,))


@pytest.mark.parametrize("n_letters", [39, 40, 41, 90])
def test_a_setting_that_is_left_out_is_quoted_up_to_forty_letters(n_letters):
    said = "x" * n_letters
    [(_, quoted)] = own_decoding((("top_p", said),), 40).left_out
    assert quoted == (said if n_letters <= 40 else "x" * 40 + "…")

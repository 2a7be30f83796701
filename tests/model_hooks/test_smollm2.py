"""A real model, installed by one command, opens fast the second time and is as examples say."""

import time

import numpy as np
import pytest

from model_hooks import load_model
from model_hooks.bundled import installed_sizes
from model_hooks.opening.installed import SMOLLM2, installed_models, packaged
from pages.shell.presets import OF_SMOLLM2, presets_of
from pages.state.view import DEFAULT_PROMPT

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(SMOLLM2.name not in installed_models(), reason=SMOLLM2.command),
]


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        began = time.process_time()
        load_model(SMOLLM2.name)
        unpacked = time.process_time()
        hooked = load_model(SMOLLM2.name)
        hooked.seconds = unpacked - began, time.process_time() - unpacked
        yield hooked


def best(hooked, prompt):
    logits = hooked.trace(prompt).last_logits.astype(np.float64)
    shares = np.exp(logits - np.logaddexp.reduce(logits))
    return hooked.token_strings([int(shares.argmax())])[0], float(shares.max())


def preset(title):
    return next(preset for preset in OF_SMOLLM2 if preset.title == title)


def test_it_is_what_its_package_says_and_opens_fast_once_it_was_unpacked(smollm2):
    info = smollm2.info
    assert (info.n_layers, info.n_heads, info.n_kv_heads, info.d_model) == (30, 9, 3, 576)
    assert (info.vocab_size, info.context_size, info.quantisation) == (49152, 8192, "Q4_1")
    assert packaged(info.name) == SMOLLM2
    (sizes,) = installed_sizes()
    assert (sizes.name, sizes.n_parameters) == (info.name, info.n_parameters)
    unpacking, again = smollm2.seconds
    assert again < unpacking / 2  # goals in seconds are for benchmarks: machines differ


@pytest.mark.parametrize(
    ("title", "token", "share"),
    [
        ("Which name was it?", " Tim", 0.737),
        ("Who gets the drink?", " Mary", 0.923),
        ("Once more", " cat", 0.962),
        ("A fact", " Paris", 0.772),
    ],
)
def test_its_examples_end_as_measured(title, token, share, smollm2):
    found, probability = best(smollm2, preset(title).prompt)
    assert found == token
    assert probability == pytest.approx(share, abs=0.002)


@pytest.mark.parametrize(
    ("title", "read", "weight"),
    [("Which name was it?", " Tim", 0.81), ("Who gets the drink?", " Mary", 0.81)],
)
def test_the_head_that_an_example_opens_looks_where_it_says(title, read, weight, smollm2):
    shown = preset(title)
    trace = smollm2.trace(shown.prompt)
    row = trace.attention(shown.layer, shown.head)[-1]
    assert trace.tokens[int(row.argmax())] == read
    assert row.max() == pytest.approx(weight, abs=0.01)


def test_its_chat_is_what_its_own_template_writes_and_ends_by_itself(smollm2):
    ids = smollm2.encode_chat("What is the capital of France?")
    assert smollm2.encode(preset("A chat").prompt) == ids
    steps = list(smollm2.generate(ids, max_new_tokens=20))
    assert "Paris" in smollm2.decode_after(ids, [step.token_id for step in steps])
    assert steps[-1].token_id in smollm2.eos_token_ids


def test_arithmetic_works_after_one_example(smollm2):
    prompt = preset("Arithmetic").prompt
    steps = list(smollm2.generate(prompt, max_new_tokens=2))
    assert "".join(step.token for step in steps) == " 7"


def test_each_model_has_its_own_examples():
    assert presets_of(SMOLLM2.name) == OF_SMOLLM2
    assert DEFAULT_PROMPT in {preset.prompt for preset in presets_of("storyteller")}

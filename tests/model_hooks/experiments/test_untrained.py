"""The model of random weights: alike each time, refused where it does not fit, had by its name."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from model_hooks import ModelNotFoundError, ModelTooLargeError
from model_hooks.experiments import untrained
from model_hooks.host import Host, Question, Run


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    sizes = {"n_layer": 1, "n_head": 2, "n_embd": 8, "vocab_size": 30}
    monkeypatch.setattr(
        untrained,
        "gpt2_124m",
        lambda: GPT2LMHeadModel(GPT2Config(bos_token_id=None, eos_token_id=None, **sizes)),
    )


def test_weights_are_the_same_each_time_and_the_global_seed_stays():
    state = torch.get_rng_state()
    one, other = untrained.untrained_gpt2(), untrained.untrained_gpt2()
    assert torch.equal(one.model.lm_head.weight, other.model.lm_head.weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_too_little_memory_is_refused_in_one_sentence(monkeypatch):
    monkeypatch.setattr(untrained, "free_bytes", lambda device: 1e8)
    with pytest.raises(ModelTooLargeError, match=r"needs about 1\.2 GB, but only 0\.1 GB"):
        untrained.untrained_gpt2()


def test_a_host_builds_it_by_its_name_and_loads_every_other():
    host = Host()
    asked = Question("model_hooks.read.recorded:info_of", Run(untrained.UNTRAINED_GPT2, ()))
    assert host.answer(asked).vocab_size == 30
    with pytest.raises(ModelNotFoundError):
        host.model(untrained.UNTRAINED_GPT2.lower())

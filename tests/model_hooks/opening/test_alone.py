"""Models that are loaded at once are those that are loaded one after the other."""

import copy
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from transformers import LlamaModel

from model_hooks import load_model

NAMES = ("storyteller", "twin-gqa", "twin-rope", "twin-mqa")
IDS = list(range(5, 15))


def test_models_loaded_at_once_compute_what_they_do_alone():
    alone = {name: load_model(name).trace(IDS).last_logits for name in NAMES}
    for _ in range(3):
        begin, found = threading.Barrier(len(NAMES)), {}

        def load(name, begin=begin, found=found):
            begin.wait()
            try:
                found[name] = load_model(name).trace(IDS).last_logits
            except Exception as error:  # a thread's error would be lost
                found[name] = error

        threads = [threading.Thread(target=load, args=(name,)) for name in NAMES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in NAMES:
            np.testing.assert_allclose(found[name], alone[name], atol=1e-5)


@pytest.fixture
def in_bfloat16(tmp_path, tokenizer, tiny_model):
    """A folder with a model in bfloat16."""
    copy.deepcopy(tiny_model).to(torch.bfloat16).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return str(tmp_path)


def test_no_run_computes_in_the_dtype_of_a_model_that_is_being_built(
    hooked, in_bfloat16, monkeypatch
):
    build, running = LlamaModel.__init__, []

    def slowly(*args, **kwargs):
        build(*args, **kwargs)
        time.sleep(0.02)

    def look(*_):
        time.sleep(0.001)
        running.append(torch.get_default_dtype())

    monkeypatch.setattr(LlamaModel, "__init__", slowly)
    handle = hooked.anatomy.blocks[0].module.register_forward_hook(look)
    try:
        with ThreadPoolExecutor(1) as threads:
            loading = threads.submit(
                lambda: [load_model(in_bfloat16, dtype=torch.bfloat16) for _ in range(4)]
            )
            while not loading.done():
                hooked.trace("the cat sat")
    finally:
        handle.remove()
    assert {model.model.dtype for model in loading.result()} == {torch.bfloat16}
    assert torch.get_default_dtype() == torch.float32
    assert set(running) == {torch.float32}
    assert len(running) > 4

"""Models that are loaded at once are those that are loaded one after the other."""

import threading

import numpy as np

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

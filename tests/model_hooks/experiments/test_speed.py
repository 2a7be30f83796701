"""What is timed is what runs: counted by a hook on the first block."""

import pickle

import pytest

from model_hooks import PromptError
from model_hooks.experiments.speed import measure_speed

TEXT = (1, 2, 3, 4, 1, 5)


def test_one_reading_is_timed_and_every_token_but_the_first(hooked):
    rows = []
    handle = hooked.anatomy.blocks[0].module.register_forward_hook(
        lambda module, args, output: rows.append(
            (output[0] if isinstance(output, tuple) else output).shape[1]
        )
    )
    speed = measure_speed(hooked, TEXT, 4, 3)
    handle.remove()
    assert rows == [6, 4, 1, 1]
    assert len(speed.steps) == 2
    assert min(speed.reading, *speed.steps) > 0
    assert pickle.loads(pickle.dumps(speed)) == speed


def test_a_text_that_cannot_be_run_is_refused(hooked):
    with pytest.raises(PromptError):
        measure_speed(hooked, (), 1, 1)

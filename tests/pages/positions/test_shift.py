"""A moved text is tried near and far, and each model gets its verdict."""

import numpy as np
import pytest

from model_hooks.host import Run
from pages.positions.shift import N_SHIFTS, Moved, lines_of, shifts_up_to, verdict


@pytest.mark.parametrize("room", [1, 2, 5, 500])
def test_steps_reach_from_nowhere_to_the_end(room):
    steps = shifts_up_to(room)
    assert (steps[0], steps[1], steps[-1]) == (0, 1, room)
    assert len(steps) <= N_SHIFTS + 1


def test_lines_have_a_value_where_their_model_was_moved():
    nothing = np.zeros(0)
    moved = {
        name: Moved(Run(name, ()), shares, 0, nothing, nothing)
        for name, shares in (("mine", {0: 0.0, 4: 0.5}), ("twin-rope", {0: 0.0, 2: 0.1}))
    }
    lines = lines_of(moved)
    assert [*lines] == ["mine", "twin-rope (rotary positions)"]
    np.testing.assert_array_equal([*lines.values()], [[0, np.nan, 0.5], [0, 0.1, np.nan]])


def test_rounding_is_nothing_that_a_model_notices():
    said = verdict({"a_b": {0: 0.0, 7: 2e-7}, "c": {0: 0.0, 7: 0.31}})
    assert r"**a\_b** notices nothing: over all moves up to 7, at most 2e-07" in said
    assert "**c** takes a moved text for another one: up to 31.0%" in said

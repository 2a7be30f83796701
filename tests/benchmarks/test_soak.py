"""The soak says when memory grows, and when it does not."""

import pytest

from benchmarks.soak import verdict


@pytest.mark.parametrize(
    ("held", "problem"),
    [
        ([500, 580, 600, 600, 610, 605, 620, 600, 610], None),
        ([400, 500, 600, 650, 700, 750, 800, 850, 900], "grew from 750 to 900"),
        ([900, 1000, 1050, 1050, 1050, 1050, 1050, 1050, 1050], "holds 1050 MB"),
    ],
)
def test_growing_memory_is_told(held, problem):
    found = verdict([float(one) for one in held])
    assert found is None if problem is None else problem in found

"""What was measured of backends is drawn and concluded as it was measured."""

from model_hooks.experiments.backends import BACKENDS, Measurement, Progress
from pages.efficient_attention.backends import conclusion, lines_of


def measured(name, n, seconds, n_bytes=None):
    return Measurement(name, n, seconds, 0.9 * seconds, 1.1 * seconds, 3, n_bytes)


def test_the_longest_length_that_both_have_is_compared():
    found = Progress(
        running=False,
        measurements=(
            measured("eager", 256, 0.001, 4 * 10**6),
            measured("sdpa flash", 256, 0.0005, 2 * 10**6),
            measured("sdpa flash", 512, 0.5),
        ),
    )
    said = conclusion(found)
    assert said.startswith("At 256 tokens")
    assert "took **0.5 ms**, eager **1 ms**: 2 times as long" in said
    assert said.endswith("with 4 MB of memory instead of 2 MB.")


def test_without_both_there_is_nothing_to_compare():
    assert conclusion(Progress(running=False, measurements=(measured("eager", 256, 1.0),))) is None


def test_every_backend_has_its_line_in_an_order_that_stays():
    found = Progress(running=True, measurements=(measured("sdpa flash", 256, 1.0, 10),))
    lines = lines_of(found)
    assert [line.name for line in lines] == list(BACKENDS)
    (line,) = [line for line in lines if line.lengths]
    assert (line.name, line.seconds, line.n_bytes) == ("sdpa flash", [1.0], [10])

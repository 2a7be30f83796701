"""A window of a long text holds the chosen token, wherever that is, and moves seldom."""

import pytest

from pages.widgets.long_text import WHOLE_UP_TO, WINDOW, window_around


def test_a_short_text_is_shown_whole():
    assert window_around(1, 0) == slice(0, 1)
    assert window_around(WHOLE_UP_TO, 3) == slice(0, WHOLE_UP_TO)


@pytest.mark.parametrize("n_tokens", [WHOLE_UP_TO + 1, 2000, 8192, 8000])
def test_every_token_of_a_long_text_is_in_its_own_window(n_tokens):
    windows = [window_around(n_tokens, pos) for pos in range(n_tokens)]
    for pos, window in enumerate(windows):
        assert 0 <= window.start <= pos < window.stop <= n_tokens
        assert window.stop - window.start == WINDOW
    assert len({window.start for window in windows}) <= 2 * n_tokens / WINDOW + 1
    assert windows[-1].stop == n_tokens

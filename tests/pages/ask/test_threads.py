"""The setting of threads is a number that a server can use, whatever was written there."""

import pytest

from pages.ask.threads import MOST_THREADS, SETTING, threads_setting


@pytest.mark.parametrize(("said", "n"), [("1", 1), (" 4 ", 4), (str(MOST_THREADS), MOST_THREADS)])
def test_a_usable_number_is_taken(said, n, monkeypatch, caplog):
    monkeypatch.setenv(SETTING, said)
    assert threads_setting() == n
    assert not caplog.records


@pytest.mark.parametrize("said", ["0", "-1", "abc", "", "1.5", "²", "1000000000", "9" * 5000])
def test_nonsense_leaves_the_default_and_is_named_in_the_log(said, monkeypatch, caplog):
    monkeypatch.setenv(SETTING, said)
    assert threads_setting() == 1
    assert SETTING in caplog.text


def test_nothing_said_is_the_default(monkeypatch, caplog):
    monkeypatch.delenv(SETTING, raising=False)
    assert threads_setting() == 1
    assert not caplog.records

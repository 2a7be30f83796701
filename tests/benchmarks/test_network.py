"""Pages ask a far model seldom: a click is a few calls, and what is asked for is kept."""

import pytest

from benchmarks.network import Counting, rows
from model_hooks.host import Host
from pages.ask import computed
from pages.ask.far import Far
from tests.conftest import tiny_llama
from tests.pages.conftest import PROMPT

MOST_CALLS = 4
"""Of one click. Each is a way there and back, which a page that asks token by token multiplies."""


@pytest.mark.slow
@pytest.mark.parametrize("hooked", [tiny_llama], indirect=True, ids=["llama"])
def test_a_click_is_a_few_calls_on_every_page(hooked):
    host = Counting(Host(lambda name: hooked))
    computed.set_host(Far(host))
    try:
        found = {row[0]: int(row[3]) for row in rows(host, {"prompt": PROMPT}, 6)}
    finally:
        computed.set_host(None)
    assert len(found) == 11
    assert {page: calls for page, calls in found.items() if calls > MOST_CALLS} == {}

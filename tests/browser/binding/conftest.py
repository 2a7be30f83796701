"""What the tests of this page begin with."""

import pytest

from tests.browser.driving import serve


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    log = tmp_path_factory.mktemp("demo") / "log.txt"
    with serve(log, script="tests/browser/binding/demo.py") as address:
        yield address


@pytest.fixture
def page(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 1200})
    context.set_default_timeout(10_000)
    context.set_default_navigation_timeout(30_000)
    yield context.new_page()
    context.close()

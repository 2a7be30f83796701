"""The app on a free port and Chromium to drive it.

Without Chromium these tests are skipped, and fail if the environment variable CI is set.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from tests.browser.driving import TIMEOUT_MS, launch, serve, settle


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try a browser test that failed once more: on a busy machine a click may fall between runs."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def app_url(tmp_path_factory) -> Iterator[str]:
    """The address of a running app, shared by the tests of this session."""
    with serve(tmp_path_factory.mktemp("server") / "log.txt") as url:
        yield url


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        try:
            browser = launch(playwright)
        except Error as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"no Chromium: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def open_browser(chromium) -> Iterator[Callable[..., Page]]:
    """Return a function that opens an address in a fresh browser profile.

    It takes `width`, `height` and `scheme` ("light" or "dark"). Requests to any other machine are
    refused and fail the test, as do exceptions in the page's JavaScript.
    """
    contexts, problems = [], []

    def open_browser(url: str, *, width=1280, height=900, scheme="light") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        contexts.append(context)

        def only_local(route):
            if route.request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
                route.continue_()
            else:
                problems.append(f"request to {route.request.url}")
                route.abort()

        context.route("**/*", only_local)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(url)
        settle(page)
        return page

    yield open_browser
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture
def page(open_browser, app_url) -> Page:
    """The front page at 1280 pixels, light."""
    return open_browser(app_url)

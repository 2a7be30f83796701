"""Start the app, start Chromium, and wait until the page is ready: for tests and for scripts."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, Playwright, expect

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
START_S = 120
TIMEOUT_MS = 30_000
BEGIN_MS = 200
"""So long it may take until the browser knows that a click has started a run."""

expect.set_options(timeout=TIMEOUT_MS)


@contextmanager
def serve(log: Path, script: str = "app.py", **settings: str) -> Iterator[str]:
    """Run the README's command on a free port and give the address.

    Args:
        log: Where the server's output goes.
        script: What is run, from the root of the repository.
        **settings: Variables of its environment.

    Raises:
        RuntimeError: It did not start, or printed a traceback.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", script, f"--server.port={port}"]
    options = ["--server.headless=true", "--server.address=127.0.0.1"]
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "HF_HUB_OFFLINE": "1"}
    environment |= {"PYTHONPATH": str(ROOT), **settings}
    with log.open("w") as output:
        server = subprocess.Popen(
            command + options, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
    try:
        deadline = time.monotonic() + START_S
        while True:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{log.read_text()}")
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5)
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    if "Traceback" in (text := log.read_text()):
        raise RuntimeError(text)


def launch(playwright: Playwright) -> Browser:
    """Start Debian's Chromium, or another one on the path, or Playwright's own."""
    found = os.environ.get("INLOOK_CHROMIUM") or shutil.which("chromium")
    found = found or shutil.which("google-chrome")
    return playwright.chromium.launch(executable_path=found, args=FLAGS)


def settle(page: Page) -> None:
    """Wait until the script has run, nothing is stale and no exception is shown.

    Charts and components paint a little later: `expect` the picture itself. After a click whose
    effect matters to the next step, `expect` that effect too: on a busy machine the run may begin
    later than this looks.
    """
    page.wait_for_timeout(BEGIN_MS)
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-connection-state", "CONNECTED")
    expect(app).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.locator("[data-stale=true]")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def press_streamlits_stop(page: Page) -> None:
    """Stop the script by Streamlit's own button.

    Its header draws that button anew while a script sends something, and a press between two of
    them is lost: it is pressed until the script has stopped.
    """
    app = page.get_by_test_id("stApp")
    stop = page.get_by_test_id("stStatusWidget").get_by_role("button", name="Stop")
    stop.dispatch_event("click")
    for _ in range(TIMEOUT_MS // (5 * BEGIN_MS)):
        page.wait_for_timeout(5 * BEGIN_MS)
        if app.get_attribute("data-test-script-state") == "notRunning":
            return
        if stop.is_visible():
            stop.dispatch_event("click")
    expect(app).to_have_attribute("data-test-script-state", "notRunning")


def button(page: Page, name: str) -> Locator:
    """Return a button of the bar; one with an explanation has a hidden copy beside it."""
    return page.locator(f".st-key-text_bar-{name} button").first


def tokens_in_bar(page: Page) -> Locator:
    """Return the tokens of the text, with the one to come."""
    return page.locator(".st-key-text_bar_strip .token")


def write_prompt(page: Page, prompt: str) -> None:
    """Write another prompt into the bar."""
    page.get_by_role("button", name="Edit the prompt").click()
    page.get_by_role("textbox", name="Prompt").fill(prompt)
    page.get_by_role("button", name="Use this prompt").click()
    settle(page)


def expect_prompt(page: Page, prompt: str) -> None:
    """Look up which prompt the bar offers to edit, and give it up."""
    settle(page)
    page.get_by_role("button", name="Edit the prompt").click()
    expect(page.get_by_role("textbox", name="Prompt")).to_have_value(prompt)
    page.keyboard.press("Escape")


def open_options(page: Page) -> None:
    """Open what says how the next token is picked."""
    page.locator(".st-key-text_bar-how button").first.click()
    expect(page.get_by_label("Tokens per run")).to_be_visible()


def go_to(page: Page, title: str) -> None:
    """Change to another page by the sidebar, which is opened where it is closed."""
    navigation = page.locator(".st-key-page_links")
    opener = page.get_by_test_id("stExpandSidebarButton")
    if opener.is_visible():
        opener.click()
    navigation.get_by_role("link", name=title, exact=True).click()
    expect(page.get_by_role("heading", level=1, name=title, exact=True)).to_be_visible()
    settle(page)

"""How long a click takes until its result is painted, per page, in Chromium.

    python -m benchmarks.clicks [--clicks 9]

From the click to two animation frames after the page last changed, in the browser's own clock:
the server, the network of one machine and the drawing are all in it. Prints medians as a table;
only an idle machine gives numbers worth quoting (the goal is 150 ms).
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Locator, Page, sync_playwright

from tests.browser.driving import launch, serve, settle

QUIET_MS = 600
"""A page that has not changed for so long has finished painting."""

# Charts are drawn inside shadow roots too, so each of those is watched as well.
WATCH = """() => {
  const state = (window.inlook = { clicked: 0, painted: 0 });
  const changed = () => requestAnimationFrame(() => requestAnimationFrame(() => {
    state.painted = performance.now();
  }));
  const watched = new WeakSet();
  const options = { subtree: true, childList: true, attributes: true, characterData: true };
  const watch = (root) => {
    if (watched.has(root)) return;
    watched.add(root);
    new MutationObserver(() => { changed(); enter(root); }).observe(root, options);
    enter(root);
  };
  const enter = (root) => {
    for (const element of root.querySelectorAll('*')) if (element.shadowRoot) watch(element.shadowRoot);
  };
  watch(document.querySelector('[data-testid=stMain]'));
  document.addEventListener('click', () => { state.clicked = performance.now(); }, true);
}"""  # noqa: E501


class Action(NamedTuple):
    """Targets to click in turn on a page, so that every click changes something."""

    page: str
    address: str
    name: str
    targets: Callable[[Page], Locator]


def _layers(page: Page) -> Locator:
    return page.locator(".st-key-attention-layer, .st-key-layers-layer").get_by_role("radio")


ACTIONS = (
    Action("Forward pass", "/", "choose a lane", lambda page: page.locator(".token")),
    Action(
        "Generation",
        "/why-this-token",
        "step",
        lambda page: page.get_by_role("button", name="Step").first,
    ),
    Action("Attention", "/what-each-head-reads", "choose a head", lambda p: p.locator(".tile")),
    Action("Attention", "/what-each-head-reads", "choose a layer", _layers),
    Action("Layers", "/layer-by-layer", "choose a layer", _layers),
)


def click_times(page: Page, url: str, action: Action, n_clicks: int) -> list[float]:
    """Return milliseconds from click to paint, without those of the first click."""
    page.goto(url + action.address)
    settle(page)
    targets = action.targets(page)
    targets.first.wait_for()
    page.wait_for_timeout(3 * QUIET_MS)
    page.evaluate(WATCH)
    times = []
    for target in islice(cycle(targets.all()[:4]), n_clicks + 1):
        target.click()
        settle(page)
        page.wait_for_function(
            f"() => performance.now() - Math.max(inlook.painted, inlook.clicked) > {QUIET_MS}"
        )
        times.append(page.evaluate("() => inlook.painted - inlook.clicked"))
    return times[1:]


def main() -> None:
    """Measure every action and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=9, help="clicks per action")
    n_clicks = parser.parse_args().clicks
    with (
        tempfile.TemporaryDirectory() as logs,
        serve(Path(logs) / "server.txt") as url,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        print("| page | click | median ms | slowest ms |")
        print("|---|---|---|---|")
        for action in ACTIONS:
            times = click_times(page, url, action, n_clicks)
            median, slowest = statistics.median(times), max(times)
            print(f"| {action.page} | {action.name} | {median:.0f} | {slowest:.0f} |", flush=True)
        browser.close()


if __name__ == "__main__":
    main()

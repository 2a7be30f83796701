"""How long a click takes until its result is painted, per page, in Chromium.

    python -m benchmarks.clicks [--clicks 9] [--sized] [--tokens 256] [--pair]

From the click to two animation frames after the page last changed, in the browser's own clock:
the server, the network of one machine and the drawing are all in it. Prints medians as a table;
only an idle machine gives numbers worth quoting (the goal is 150 ms). `--sized` opens a model of
GPT-2's size with random weights, 12 layers of 12 heads, instead of the bundled one (the goal is 1 s
with 256 tokens). `--pair` measures each click alone and with another run pinned beside it (the goal
is 2.2 times as long).
"""

import argparse
import re
import statistics
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Locator, Page, sync_playwright
from transformers import AutoTokenizer

from benchmarks.sized_models import build
from tests.browser.driving import launch, serve, settle

ROOT = Path(__file__).parents[1]
PINNED = "Lily and Ben went to the lighthouse. Lily and"
"""The prompt of run A; B's has another name."""
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
    return page.get_by_role("radiogroup", name=re.compile("^Layer")).first.get_by_role("radio")


ACTIONS = (
    Action(
        "Forward pass", "/", "choose a lane", lambda page: page.locator(".st-key-text_bar .token")
    ),
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


def link(folder: Path, n_tokens: int | None, sized: bool) -> str:
    """Return the query string that opens a model with a prompt of so many tokens."""
    query = {}
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models/storyteller")
    if sized:
        build("GPT-2 124M").save_pretrained(folder / "gpt2-size")
        tokenizer.save_pretrained(folder / "gpt2-size")
        query["model"] = str(folder / "gpt2-size")
    if n_tokens:
        text = (ROOT / "pages/positions/story.txt").read_text(encoding="utf-8")
        ids = tokenizer(text, truncation=True, max_length=n_tokens)["input_ids"]
        query["prompt"] = tokenizer.decode(ids[1:])
    return urllib.parse.urlencode(query)


def click_times(page: Page, address: str, action: Action, n_clicks: int) -> list[float]:
    """Return milliseconds from click to paint, without those of the first click."""
    page.goto(address)
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


def report(page: Page, url: str, query: str, n_clicks: int) -> Iterator[str]:
    """Measure every action, and yield the lines of a table."""
    yield "| page | click | median ms | slowest ms |"
    yield "|---|---|---|---|"
    for action in ACTIONS:
        times = click_times(page, f"{url}{action.address}?{query}", action, n_clicks)
        median, slowest = statistics.median(times), max(times)
        yield f"| {action.page} | {action.name} | {median:.0f} | {slowest:.0f} |"


def report_of_pairs(page: Page, url: str, query: str, n_clicks: int) -> Iterator[str]:
    """Measure every action alone and with a pinned run, and yield the lines of a table."""
    pinned = urllib.parse.urlencode({"pinned": urllib.parse.urlencode({"prompt": PINNED})})
    yield "| page | click | alone ms | with a pinned run ms | ratio |"
    yield "|---|---|---|---|---|"
    for action in ACTIONS:
        address = f"{url}{action.address}?{query}"
        alone = statistics.median(click_times(page, address, action, n_clicks))
        both = statistics.median(click_times(page, f"{address}&{pinned}", action, n_clicks))
        yield f"| {action.page} | {action.name} | {alone:.0f} | {both:.0f} | {both / alone:.2f} |"


def main() -> None:
    """Measure every action and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=9, help="clicks per action")
    parser.add_argument("--sized", action="store_true", help="a model of GPT-2's size")
    parser.add_argument("--tokens", type=int, help="tokens of the prompt (default: the app's own)")
    parser.add_argument("--pair", action="store_true", help="with another run pinned, too")
    args = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder) / "server.txt") as url,
        sync_playwright() as playwright,
    ):
        query = link(Path(folder), args.tokens, args.sized)
        browser = launch(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        for line in (report_of_pairs if args.pair else report)(page, url, query, args.clicks):
            print(line, flush=True)
        browser.close()


if __name__ == "__main__":
    main()

"""Take the README's screenshots of the running app.

    python -m docs.take_screenshots

Light theme, 1280 pixels wide; needs the development requirements and Chromium.
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page, sync_playwright

from tests.browser.driving import launch, serve, settle

FOLDER = Path(__file__).parent / "screenshots"


class Shot(NamedTuple):
    """One picture: what to open, and what must be painted on it."""

    name: str
    address: str
    painted: str
    presses: tuple[str, ...] = ()
    """Buttons to press, by name, before the picture is taken."""
    height: int = 800


SHOTS = (
    Shot("forward_pass", "/", "h1"),
    Shot("generation", "/why-this-token", ".js-plotly-plot", ("Step", "Step", "Step"), 1030),
    Shot("attention", "/what-each-head-reads", ".heatmaplayer image", height=880),
)


def take(page: Page, url: str, shot: Shot) -> None:
    """Open the address, press the buttons and save the picture."""
    page.set_viewport_size({"width": 1280, "height": shot.height})
    page.goto(url + shot.address)
    settle(page)
    for button in shot.presses:
        page.get_by_role("button", name=button).first.click()
        page.wait_for_timeout(500)  # two clicks in one go are taken for one
        settle(page)
    page.locator(shot.painted).first.wait_for()
    page.mouse.move(0, 0)
    page.wait_for_timeout(1000)  # fonts and lazily loaded charts
    page.screenshot(path=FOLDER / f"{shot.name}.png")


def main() -> None:
    """Take all screenshots."""
    FOLDER.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as logs,
        serve(Path(logs) / "server.txt") as url,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright)
        page = browser.new_page(color_scheme="light", reduced_motion="reduce")
        for shot in SHOTS:
            take(page, url, shot)
        browser.close()


if __name__ == "__main__":
    main()

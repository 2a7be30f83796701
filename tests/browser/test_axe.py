"""What axe-core finds on each page, in both themes: nothing that keeps somebody out.

Its script comes from npm (`npm ci`); without it these tests are skipped, and fail if CI is set.
"""

import os
from pathlib import Path

import pytest

from app import PAGES

SCRIPT = Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"
PLACES = [place for group in PAGES.values() for place in group]
FINDINGS = """async () => (await axe.run(document)).violations
  .filter((rule) => ["serious", "critical"].includes(rule.impact))
  .flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target}`))"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The script, which defines `axe` in the page."""
    if not SCRIPT.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{SCRIPT.parent.name} is missing: run npm ci.")
        pytest.skip("no axe-core: run npm ci.")
    return SCRIPT.read_text(encoding="utf-8") + ";0"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_browser, app_url, axe, scheme):
    found = {}
    for place in PLACES:
        page = open_browser(f"{app_url}/{place.address}", scheme=scheme)
        page.wait_for_timeout(1000)
        page.evaluate(axe)
        found[place.title] = page.evaluate(FINDINGS)
    assert {title: findings for title, findings in found.items() if findings} == {}


@pytest.mark.slow
def test_axe_notices_what_cannot_be_read(page, axe):
    page.evaluate("document.querySelector('h1').style.color = 'rgb(225, 225, 225)'")
    page.evaluate("document.querySelector('h1').style.backgroundColor = 'white'")
    page.evaluate(axe)
    assert any(finding.startswith("color-contrast") for finding in page.evaluate(FINDINGS))

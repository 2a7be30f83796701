"""What the tests of the binding press and read on its demo page."""

import contextlib
import json

from playwright.sync_api import expect

DEFAULTS = {"model": "small", "layer": 0, "head": 0, "temperature": 1.0}
READ = """() => {
  const one = (root, selector) => root.querySelector(selector);
  const texts = (root, selector) =>
    [...root.querySelectorAll(selector)].map(found => found.innerText).join('|');
  const deep = (root, selector) => [...root.querySelectorAll('*')].flatMap(found =>
    [...(found.matches(selector) ? [found] : []),
     ...(found.shadowRoot ? deep(found.shadowRoot, selector) : [])]);
  const CHECKED = '[role=radio][aria-checked=true],button[aria-checked=true],button[kind$=Active]';
  const value = (box, kind) => {
    if (kind === 'slider') return one(box, '[data-testid=stSliderThumbValue]')?.innerText;
    if (kind.startsWith('selectbox')) return one(box, 'input')?.value || box.innerText;
    if (kind === 'segmented' || kind === 'pills') return texts(box, CHECKED);
    if (kind === 'radio') return texts(box, 'label:has(input:checked)');
    if (['number', 'text', 'area'].includes(kind)) return one(box, 'input,textarea')?.value;
    if (kind === 'toggle') return one(box, 'input')?.checked;
    if (kind === 'multiselect')
      return texts(box, '[data-testid=stMultiSelectTag], [data-tag], [role=row]');
    if (kind === 'tabs') return texts(box, '[role=tab][aria-selected=true]');
    if (kind === 'expander') return one(box, 'details')?.open;
    return deep(box, '.tok[aria-current=true]').map(found => found.innerText).join('|');
  };
  return [...document.querySelectorAll('[class*="st-key-w-"]')]
    .filter(box => box.offsetParent !== null || box.getClientRects().length)
    .map(box => {
      const name = [...box.classList].find(one => one.startsWith('st-key-w-')).slice(9);
      const cut = name.lastIndexOf('-'), kind = name.slice(cut + 1);
      return [name.slice(0, cut), kind, value(box, kind)];
    });
}"""


def settle(page):
    page.wait_for_timeout(150)
    app = page.get_by_test_id("stApp")
    expect(app).to_have_attribute("data-test-connection-state", "CONNECTED", timeout=15000)
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=15000)
    page.wait_for_timeout(200)
    expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=15000)
    expect(page.locator("[data-stale=true]")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def go(page, address):
    page.goto(address)
    page.wait_for_selector("#truth", state="attached", timeout=30000)
    settle(page)


def truth(page):
    return json.loads(page.inner_text("#truth"))


def label(field, kind, value):
    """Write a value as its widget shows it."""
    if field == "head":
        return "Mean" if value is None else f"H{value}"
    if kind in ("slider", "number") and field != "two_step":
        return f"{1.0 if value is None else value:.2f}"
    if kind in ("toggle", "expander"):
        return value
    if kind == "multiselect":
        return "|".join(value)
    return str(value)


def check(page, **wanted):
    """Assert that all widgets come to show what the script used, and that it is what was wanted."""
    for _ in range(6):  # a busy machine may begin the run later than `settle` looks
        settle(page)
        with contextlib.suppress(AssertionError):
            return check_once(page, **wanted)
        page.wait_for_timeout(300)
    return check_once(page, **wanted)


def check_once(page, **wanted):
    used = {
        f"{field.replace('.', '_')}-{kind}": value
        for field, kind, value in json.loads(page.inner_text("#used"))
    }
    now = truth(page)
    flat = {k: v for k, v in now.items() if not isinstance(v, dict)} | {
        f"{outer}_{k}": v for outer in ("one", "two", "three") for k, v in now[outer].items()
    }
    for name, value in wanted.items():
        assert flat[name] == value, f"the View has {name}={flat[name]}, not {value}"
    shown = page.evaluate(READ)
    for field, kind, seen in shown:
        value = flat[field]
        assert seen == label(field, kind, value), (
            f"{field} ({kind}) shows {seen}, the View has {value}"
        )
        if f"{field}-{kind}" in used and field != "two_step":
            uses = used[f"{field}-{kind}"]
            uses = tuple(uses) if isinstance(uses, list) else uses
            assert label(field, kind, uses) == seen, (
                f"{field} ({kind}) shows {seen}, the script uses {uses}"
            )
    return shown


def box(page, field, kind):
    return page.locator(f".st-key-w-{field}-{kind}")


def choose(page, field, text, kind="selectbox"):
    box(page, field, kind).locator("input").click()
    page.get_by_role("option", name=text, exact=True).click()


def press(page, field, text, kind="segmented"):
    box(page, field, kind).get_by_role("radio", name=text, exact=True).click()


def slide(page, field, key="ArrowRight", times=1):
    handle = box(page, field, "slider").locator("input[type=range]")
    handle.focus()
    for _ in range(times):
        page.keyboard.press(key)


LAGGING = """(() => {
  const later = f => e => setTimeout(() => f(e), window.lag || 0);
  const add = WebSocket.prototype.addEventListener;
  WebSocket.prototype.addEventListener = function (kind, f, ...rest) {
    return add.call(this, kind, kind === 'message' ? later(f) : f, ...rest);
  };
})()"""

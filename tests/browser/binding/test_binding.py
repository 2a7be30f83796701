"""What each bound widget shows is what the script uses, after every way in: in a real browser."""

import contextlib
import json

import pytest
from playwright.sync_api import expect

from tests.browser.driving import serve

pytestmark = pytest.mark.slow  # four minutes: half of what all other browser tests take

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


# (a) What a widget shows is what the script uses, after every way in.


def test_first_visit(page, url):
    for path in ("", "two", "three"):
        go(page, f"{url}/{path}")
        check(page, **DEFAULTS)


def test_link(page, url):
    go(
        page,
        f"{url}/?head=2&temperature=0.5&layer=7&one.measure=loss&one.zoom=2.5&one.open=1&cache=0&prompt=a%20b",
    )
    check(
        page,
        head=2,
        temperature=0.5,
        layer=7,
        one_measure="loss",
        one_zoom=2.5,
        one_open=True,
        cache=False,
        prompt="a b",
    )
    go(
        page,
        f"{url}/two?two.tab=Lines&two.step=5&two.stage=choice&two.order=down&strategy=sample&top_p=0.5",
    )
    check(
        page,
        two_tab="Lines",
        two_step=5,
        two_stage="choice",
        two_order="down",
        strategy="sample",
        top_p=0.5,
    )
    go(page, f"{url}/three?three.watched=dog~cat~&three.name=x&head=~")
    check(page, three_watched=["dog", "cat"], three_name="x", head=None)


def test_reload(page, url):
    go(page, f"{url}/")
    press(page, "head", "H3")
    settle(page)
    choose(page, "layer", "4")
    settle(page)
    page.reload()
    page.wait_for_selector("#truth", state="attached", timeout=30000)
    check(page, head=3, layer=4)


def test_head_mean_of_a_link(page, url):
    go(page, f"{url}/?head=~")
    check(page, head=None)
    assert box(page, "head", "segmented").locator("[aria-checked=true]").count() == 1


def test_back_and_forward(page, url):
    go(page, f"{url}/")
    press(page, "head", "H3")
    check(page, head=3)
    choose(page, "layer", "4")
    check(page, head=3, layer=4)
    page.go_back()
    check(page, head=3, layer=0)
    page.go_back()
    check(page, head=0, layer=0)
    page.go_forward()
    check(page, head=3, layer=0)
    page.go_forward()
    check(page, head=3, layer=4)


def test_quick_back(page, url):
    go(page, f"{url}/")
    press(page, "head", "H3")
    settle(page)
    page.wait_for_timeout(1200)
    page.go_back()
    page.wait_for_timeout(300)
    check(page, head=0)


def test_page_change_and_return(page, url):
    go(page, f"{url}/")
    press(page, "head", "H3")
    slide(page, "temperature", times=2)
    settle(page)
    page.get_by_role("link", name="third").first.click()
    expect(page.get_by_role("heading", name="Third")).to_be_visible()
    check(page, head=3, temperature=1.1)
    choose(page, "head", "Mean")
    settle(page)
    page.get_by_role("link", name="first").first.click()
    expect(page.get_by_role("heading", name="First")).to_be_visible()
    check(page, head=None, temperature=1.1)
    page.go_back()
    expect(page.get_by_role("heading", name="Third")).to_be_visible()
    check(page, head=None, temperature=1.1)


def test_link_to_another_page_in_a_new_tab(page, url):
    go(page, f"{url}/")
    press(page, "head", "H3")
    settle(page)
    third = page.get_by_role("link", name="third").first
    go(page, third.evaluate("a => a.href"))
    check(page, head=3)


def test_link_that_changes_fields(page, url):
    go(page, f"{url}/")
    press(page, "head", "H3")
    settle(page)
    page.get_by_role("link", name="Jump").click()
    expect(page.get_by_role("heading", name="Second")).to_be_visible()
    check(page, head=3, layer=7, two_tab="Table")


@pytest.mark.parametrize("wait", [0, 6000])
def test_from_the_popover_to_a_column(page, url, wait):
    go(page, f"{url}/two?strategy=sample&temperature=0.7&top_p=0.5")
    page.wait_for_timeout(wait)  # today's widgets are no longer new
    press(page, "two_stage", "choice")
    check(page, strategy="sample", temperature=0.7, top_p=0.5)
    slide(page, "temperature", times=2)
    check(page, strategy="sample", temperature=0.8, top_p=0.5)
    press(page, "two_stage", "start")
    settle(page)
    page.get_by_role("button", name="Decoding").click()
    page.wait_for_timeout(400)
    assert len(check(page, temperature=0.8, strategy="sample", top_p=0.5)) > 10
    slide(page, "top_p", "ArrowLeft", 2)
    check(page, temperature=0.8, top_p=0.4)
    page.keyboard.press("Escape")
    press(page, "two_stage", "choice")
    check(page, temperature=0.8, top_p=0.4)
    press(page, "two_stage", "end")
    settle(page)
    press(page, "two_stage", "choice")
    check(page, temperature=0.8, top_p=0.4)


def test_two_quick_clicks(page, url):
    go(page, f"{url}/")
    for first, second, head, measure in (
        ("H3", "loss", 3, "loss"),
        ("H1", "top", 1, "top"),
        ("Mean", "entropy", None, "entropy"),
    ):
        press(page, "head", first)
        box(page, "one_measure", "radio").get_by_text(second, exact=True).click()
        check(page, head=head, one_measure=measure)


def test_a_quick_click_before_the_first_drawing(page, url):
    for wait in (0, 30, 80, 150):
        shared = "strategy=sample&temperature=0.7&layer=5"
        page.goto(f"{url}/two?{shared}&two.stage=choice&two.tab=Lines")
        click = """() => {
            const radios = [...document.querySelectorAll('[role=radio]')];
            const found = radios.find(radio => radio.innerText.includes('end'));
            found?.click();
            return !!found;
        }"""
        page.wait_for_function(click, timeout=30000)  # as soon as there is anything to click
        page.wait_for_timeout(wait)
        page.wait_for_function(click.replace("'end'", "'choice'"), timeout=30000)
        page.wait_for_selector("#truth", state="attached", timeout=30000)
        check(
            page, strategy="sample", temperature=0.7, two_stage="choice", two_tab="Lines", layer=5
        )


@pytest.mark.parametrize("late", [500, 6000])
def test_a_widget_whose_code_loads_late(page, url, late):
    held = []
    page.route("**/Slider*.js", lambda route: held.append(route))
    page.goto(f"{url}/?temperature=0.7&head=2")
    button = page.get_by_role("button", name="Next head")
    button.click(timeout=30000)
    page.wait_for_timeout(late)
    button.click()
    page.wait_for_timeout(1000)
    for request in held:
        request.continue_()
    page.wait_for_selector("[data-testid=stSliderThumbValue]", timeout=30000)
    check(page, temperature=0.7, head=0)
    button.click()
    check(page, temperature=0.7, head=1)


def test_a_double_click_on_a_button(page, url):
    go(page, f"{url}/")
    page.get_by_role("button", name="Next head").click()
    page.get_by_role("button", name="Next head").click()
    check(page, head=2)
    press(page, "head", "H0")
    page.get_by_role("button", name="Next head").click()
    check(page, head=1)


def test_a_slow_server(page, url):
    go(page, f"{url}/?slow=2.0")
    page.get_by_role("button", name="Next head").click()
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Next head").click()
    page.wait_for_timeout(300)
    box(page, "one_measure", "radio").get_by_text("loss", exact=True).click()
    page.wait_for_timeout(2500)
    check(page, head=2, one_measure="loss")
    page.get_by_role("button", name="Reset").click()
    page.wait_for_timeout(300)
    press(page, "head", "H3")  # while the old widget is still on the screen
    page.wait_for_timeout(2500)
    check(page, head=3, layer=0)


def test_a_slow_server_and_another_page(page, url):
    go(page, f"{url}/?slow=2.0&temperature=0.7")
    page.get_by_role("link", name="second").first.click()
    page.wait_for_timeout(700)
    page.get_by_role("link", name="first").first.click()
    page.wait_for_timeout(700)
    page.get_by_role("link", name="second").first.click()
    page.wait_for_timeout(2800)
    check(page, temperature=0.7)
    press(page, "two_stage", "choice")
    page.wait_for_timeout(2500)
    check(page, temperature=0.7, two_stage="choice")


LAGGING = """(() => {
  const later = f => e => setTimeout(() => f(e), window.lag || 0);
  const add = WebSocket.prototype.addEventListener;
  WebSocket.prototype.addEventListener = function (kind, f, ...rest) {
    return add.call(this, kind, kind === 'message' ? later(f) : f, ...rest);
  };
})()"""


@pytest.mark.parametrize("lag", [500, 1600])
def test_a_slow_network(page, url, lag):
    page.add_init_script(LAGGING)
    go(page, f"{url}/?temperature=0.7")
    page.evaluate(f"window.lag = {lag}")
    page.get_by_role("button", name="Next head").click()
    page.wait_for_timeout(250)
    page.get_by_role("button", name="Next head").click()  # the browser still reports head 0
    page.wait_for_timeout(2 * lag)
    check(page, head=2)
    press(page, "head", "H3")
    page.wait_for_timeout(lag - 300)
    choose(page, "layer", "4")  # the address still is the old one
    page.wait_for_timeout(2 * lag)
    check(page, head=3, layer=4)
    page.get_by_role("button", name="Reset").click()
    page.wait_for_timeout(250)
    press(page, "head", "H2")  # on the old widget
    page.wait_for_timeout(2 * lag)
    check(page, head=2, layer=0, temperature=1.0)


def test_a_value_changed_by_program(page, url):
    go(page, f"{url}/")
    for head in (1, 2, 3, 0, 1):
        page.get_by_role("button", name="Next head").click()
        check(page, head=head)
    press(page, "head", "H3")
    check(page, head=3)
    page.get_by_role("button", name="Next head").click()
    check(page, head=0)


def test_a_value_clamped(page, url):
    go(page, f"{url}/?model=big&head=13")
    check(page, head=13)
    choose(page, "model", "small")
    check(page, head=3, model="small")
    go(page, f"{url}/?one.zoom=99&temperature=-3")
    check(page, one_zoom=4.0, temperature=0.1)


def test_two_widgets_for_one_field(page, url):
    go(page, f"{url}/")
    box(page, "layer", "strip").locator(".tok").nth(5).click()
    check(page, layer=5)
    choose(page, "layer", "8")
    check(page, layer=8)
    box(page, "layer", "strip").locator(".tok").nth(5).click()
    check(page, layer=5)
    box(page, "layer", "strip").locator(".tok").nth(2).click()
    box(page, "layer", "strip").locator(".tok").nth(9).click()
    check(page, layer=9)


def test_a_fragment(page, url):
    go(page, f"{url}/two")
    runs = page.inner_text("#runs")
    slide(page, "two_step", times=3)
    settle(page)
    expect(page.locator("#fragment")).to_have_text("3")
    assert page.inner_text("#runs") == runs
    assert "two.step=3" in page.url
    choose(page, "layer", "6", "selectbox2")  # a shared field: the other box follows
    check(page, layer=6, two_step=3)
    choose(page, "layer", "2")
    check(page, layer=2, two_step=3)


def test_tabs_and_expander(page, url):
    go(page, f"{url}/two")
    page.get_by_role("tab", name="Lines").click()
    check(page, two_tab="Lines")
    box(page, "two_order", "pills").get_by_role("radio", name="down").click()
    check(page, two_order="down")
    page.get_by_role("tab", name="Table").click()
    check(page, two_tab="Table")
    page.get_by_role("tab", name="Lines").click()
    check(page, two_tab="Lines", two_order="down")
    page.get_by_role("link", name="first").first.click()
    expect(page.get_by_role("heading", name="First")).to_be_visible()
    box(page, "one_open", "expander").locator("summary").first.click()
    check(page, one_open=True)
    box(page, "cache", "toggle").locator("label").first.click()
    check(page, cache=False)
    page.get_by_role("link", name="second").first.click()
    expect(page.get_by_role("heading", name="Second")).to_be_visible()
    check(page, two_tab="Lines", two_order="down")
    page.go_back()
    expect(page.get_by_role("heading", name="First")).to_be_visible()
    check(page, one_open=True, cache=False)


def test_a_dialog(page, url):
    go(page, f"{url}/three?three.size=L")
    page.get_by_role("button", name="Ask").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("input:checked")).to_have_count(1)
    expect(dialog.locator("label:has(input:checked)")).to_have_text("L")
    dialog.get_by_text("S", exact=True).click()
    page.wait_for_timeout(600)
    dialog.get_by_role("button", name="Done").click()
    check(page, three_size="S")
    page.get_by_role("button", name="Ask").click()
    expect(dialog.locator("label:has(input:checked)")).to_have_text("S")


def test_typing_is_not_disturbed(page, url):
    go(page, f"{url}/")
    area = box(page, "prompt", "area").locator("textarea")
    area.fill("Half a sent")
    page.get_by_role("button", name="Next head").dispatch_event("click")  # without leaving the box
    page.wait_for_timeout(600)
    assert area.input_value() == "Half a sent"
    area.press("Control+Enter")
    check(page, prompt="Half a sent", head=1)


# (b) The link.


def test_every_change_is_in_the_link_and_a_copy_gives_the_same(page, url, chromium):
    go(page, f"{url}/three")
    choose(page, "head", "Mean")
    settle(page)
    box(page, "three_watched", "multiselect").locator("input").click()
    page.get_by_role("option", name="a~b").click()
    page.keyboard.press("Escape")
    settle(page)
    page.get_by_role("button", name="Write").click()
    settle(page)
    page.get_by_role("button", name="Write").click()
    check(page, head=None, three_watched=["cat", "a~b"], written=[0, 1])
    other = chromium.new_context().new_page()
    go(other, page.url)
    check(other, head=None, three_watched=["cat", "a~b"], written=[0, 1])
    assert truth(other) == truth(page)
    other.context.close()


def test_damaged_values_are_ignored_one_by_one(page, url):
    go(
        page,
        f"{url}/?head=x&layer=99999999999999999999&temperature=nan&one.measure=nope&cache=5&junk=1&one.zoom=2.0&prompt=*%%%&three.watched=cat",
    )
    check(
        page,
        head=0,
        temperature=1.0,
        one_measure="entropy",
        cache=True,
        one_zoom=2.0,
        prompt="Once upon a time",
    )


def test_a_long_prompt_is_in_the_link(page, url, chromium):
    text = " ".join(f"word{i} and some more of it" for i in range(150))
    go(page, f"{url}/")
    area = box(page, "prompt", "area").locator("textarea")
    area.fill(text)
    area.press("Control+Enter")
    check(page, prompt=text)
    assert len(text) > 3000
    assert len(page.url) < 2000
    other = chromium.new_context().new_page()
    go(other, page.url)
    check(other, prompt=text)
    other.context.close()


# (e) Nothing raises under load: many quick clicks, and the server's log is checked at the end.


def test_a_burst_of_clicks(page, url):
    go(page, f"{url}/two?slow=0.5")
    for i in range(6):
        press(page, "two_stage", ["choice", "start", "end"][i % 3])
        page.wait_for_timeout(90)
        page.get_by_role("tab", name=["Lines", "Table", "Map"][i % 3]).click()
        page.wait_for_timeout(60)
    page.wait_for_timeout(1500)
    check(page, two_stage="end", two_tab="Map")
    press(page, "two_stage", "choice")
    page.wait_for_timeout(1500)
    check(page, two_stage="choice", temperature=1.0, strategy="greedy")

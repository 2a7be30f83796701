"""What each bound widget shows is what the script uses, after every way in: in a real browser."""

import pytest
from playwright.sync_api import expect

from tests.browser.binding.looking import DEFAULTS, box, check, choose, go, press, settle, slide

pytestmark = pytest.mark.slow  # four minutes: half of what all other browser tests take


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

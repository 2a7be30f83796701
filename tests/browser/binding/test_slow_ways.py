"""What is chosen stays chosen on slow servers and networks, and where code loads late."""

import pytest

from tests.browser.binding.looking import LAGGING, box, check, choose, go, press, settle, truth

pytestmark = pytest.mark.slow  # four minutes: half of what all other browser tests take


def test_quick_back(page, url):
    go(page, f"{url}/")
    press(page, "head", "H3")
    settle(page)
    page.wait_for_timeout(1200)
    page.go_back()
    page.wait_for_timeout(300)
    check(page, head=0)


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


def test_typing_is_not_disturbed(page, url):
    go(page, f"{url}/")
    area = box(page, "prompt", "area").locator("textarea")
    area.fill("Half a sent")
    page.get_by_role("button", name="Next head").dispatch_event("click")  # without leaving the box
    page.wait_for_timeout(600)
    assert area.input_value() == "Half a sent"
    area.press("Control+Enter")
    check(page, prompt="Half a sent", head=1)


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

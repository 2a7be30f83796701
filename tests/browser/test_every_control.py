"""What is chosen on a page comes back: by its link, after a reload, and after a visit elsewhere."""

import re

import pytest
from playwright.sync_api import Error

import app as entry
from tests.browser.driving import TIMEOUT_MS, go_to, settle

PLACES = [place for group in entry.PAGES.values() for place in group]
LATER_MS = 1500
"""Pictures and the scripts of rare widgets come a little after the page."""

SHOWN = """() => {
  const roles = { radio: 'radio', checkbox: 'switch', range: 'slider', number: 'spinbutton' };
  const found = {}, seen = {};
  const visit = root => {
    for (const element of root.querySelectorAll('*')) {
      if (element.shadowRoot) visit(element.shadowRoot);
      const role = element.getAttribute('role') ||
        (element.tagName === 'INPUT' ? roles[element.type] || 'textbox' : '') ||
        (element.tagName === 'TEXTAREA' ? 'textbox' : '');
      const watched = ['radio', 'tab', 'slider', 'checkbox', 'switch', 'spinbutton', 'combobox'];
      if (![...watched, 'textbox'].includes(role)) continue;
      const group = element.closest('[role=radiogroup]')?.getAttribute('aria-label') || '';
      const label = element.getAttribute('aria-label') || element.closest('label')?.innerText ||
        element.innerText || '';
      const name = `${role} ${group}/${label.trim().split('\\n')[0].slice(0, 60)}`;
      seen[name] = (seen[name] || 0) + 1;
      const on = String(element.checked ?? element.getAttribute('aria-checked'));
      found[`${name}#${seen[name]}`] = role === 'tab' ? element.getAttribute('aria-selected')
        : ['radio', 'checkbox', 'switch'].includes(role) ? on
        : role === 'slider' ? element.getAttribute('aria-valuenow') ?? element.value
        : element.value ?? element.innerText;
    }
  };
  visit(document.querySelector('[data-testid=stMain]'));
  return found;
}"""

GROUPS = """main => [...new Set([...main.querySelectorAll('[role=radiogroup]')]
  .filter(group => group.checkVisibility()).map(group => group.getAttribute('aria-label')))]"""
"""The names of the groups of radio buttons that can be seen."""

OTHERS = """(main, name) => {
  const group = [...main.querySelectorAll('[role=radiogroup]')]
    .find(one => one.checkVisibility() && one.getAttribute('aria-label') === name);
  const radios = [...(group?.querySelectorAll('[role=radio], input[type=radio]') ?? [])];
  const on = one => one.checked ?? one.getAttribute('aria-checked') === 'true';
  return radios.flatMap((one, index) => on(one) || one.disabled ? [] : [index]);
}"""
"""Where the radio buttons of a group stand that can be chosen: looked at all at once, since a page
that is drawn anew between two looks has others."""


def shown(page):
    """What every control of the page shows, by its role and name, once it stays the same."""
    settle(page)
    found = None
    for _ in range(TIMEOUT_MS // LATER_MS):
        before, found = found, page.evaluate(SHOWN)
        if found and found == before:
            break
        page.wait_for_timeout(LATER_MS)
    return found


def expect_shown(page, wanted):
    """Wait until every control shows what is wanted; the code of some loads late."""
    settle(page)
    for _ in range(TIMEOUT_MS // LATER_MS):
        if (found := page.evaluate(SHOWN)) == wanted:
            break
        page.wait_for_timeout(LATER_MS)
    assert found == wanted


def use_each_kind(page):
    """Use one of each kind of control, as far as it can be; return how many were used."""
    main, used = page.get_by_test_id("stMain"), 0
    for name in main.evaluate(GROUPS)[:6]:
        others = main.evaluate(OTHERS, name)
        if not others:  # nothing to choose, or it went away with the one before
            continue
        group = main.get_by_role("radiogroup", name=name, exact=True).filter(visible=True).first
        group.get_by_role("radio").nth(others[-1]).click(force=True)
        settle(page)
        used += 1
    tabs = main.get_by_role("tab").filter(visible=True)
    if closed := [tab for tab in tabs.all() if tab.get_attribute("aria-selected") != "true"]:
        closed[0].click()
        settle(page)
        used += 1
    for role, key in (("switch", "Space"), ("slider", "ArrowLeft"), ("spinbutton", "ArrowUp")):
        for control in main.get_by_role(role).filter(visible=True).all()[:2]:
            try:
                if not control.is_enabled():
                    continue
                control.focus()
                control.press(key)
                control.press("Enter" if role == "spinbutton" else "Shift")
            except Error:  # it went away with the one before
                continue
            settle(page)
            used += 1
    lists = main.get_by_role("combobox").filter(visible=True)
    if not used and lists.count():
        lists.first.click()
        page.get_by_role("option").last.click()
        settle(page)
        used += 1
    return used


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.folder)
def test_what_is_chosen_comes_back_by_link_reload_and_return(open_browser, app_url, place):
    page = open_browser(f"{app_url}/{'' if place is PLACES[0] else place.address}")
    shown(page)
    assert use_each_kind(page), "there is nothing to use"
    wanted = shown(page)
    other = open_browser(page.url)
    expect_shown(other, wanted)
    page.reload()
    expect_shown(page, wanted)
    elsewhere = PLACES[1] if place is not PLACES[1] else PLACES[2]
    go_to(page, elsewhere.title)
    go_to(page, place.title)
    expected = re.escape(place.title)
    assert re.search(expected, page.title())
    expect_shown(page, wanted)

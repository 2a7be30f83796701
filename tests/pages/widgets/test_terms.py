"""Technical words have one meaning each, and lead to it."""

import ast
from pathlib import Path

import app
from pages.widgets.terms import ADDRESS, term, terms
from viz import theme

PAGES = Path(__file__).parents[3] / "pages"
PLACES = [place for group in app.PAGES.values() for place in group]


def used() -> set[str]:
    """Return the words that pages lead to by `term(...)`."""
    calls = (
        node
        for path in PAGES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "term"
    )
    return {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}


def test_every_word_that_a_page_leads_to_is_there():
    assert used()
    assert used() <= {*terms()}


def test_every_page_about_the_text_lists_some_words_and_all_that_are_listed_exist():
    named = {page for of in terms().values() for page in of.pages}
    assert named == {place.folder for place in PLACES if place.has_text}


def test_a_link_leads_to_the_page_of_all_words():
    (glossary,) = (place for place in PLACES if place.folder == "glossary")
    assert glossary.address == ADDRESS
    assert term("KV cache", "caches") == f"[caches]({ADDRESS}?glossary.word=KV+cache)"


def test_each_meaning_is_a_sentence_or_two():
    for of in terms().values():
        assert of.says.endswith("."), of.name
        assert 20 < len(of.says) < 260, of.name


def test_colours_are_those_of_figures():
    roles = {role.name: role.colours for role in theme.ROLES}
    assert {of.colour for of in terms().values() if of.colour} <= {*roles}
    parts = {
        theme.QUERY,
        theme.KEY,
        theme.VALUE,
        theme.FEEDFORWARD,
        theme.HIGHLIGHT,
        theme.ATTENTION,
        theme.RESIDUAL,
        theme.MASKED,
    }
    assert {colours[0] for colours in roles.values() if len(colours) == 1} == parts

"""The glossary lists every word, says what one means, and shows every colour."""

from pages.widgets.terms import terms
from tests.pages.charts import drawn
from tests.pages.conftest import opened, view_of, widget
from viz.theme import ROLES


def test_all_words_are_listed_and_one_is_looked_up(tiny_session):
    app = opened("glossary", glossary__word="lane")
    assert not app.exception
    said = "\n".join(one.value for one in app.markdown)
    assert all(f"**{name}**: {of.says}" in said for name, of in terms().items())
    assert said.count(terms()["lane"].says) == 2
    (chart,) = drawn(app)
    assert [role.name for role in ROLES] == list(chart.figure["layout"]["yaxis"]["ticktext"])
    widget(app, "glossary.word").set_value(0).run()
    assert not app.exception
    assert view_of(app).glossary.word is None


def test_the_words_of_a_page_are_offered_beside_its_title(open_page):
    app = open_page("attention")
    assert not app.exception
    said = "\n".join(one.value for one in app.markdown)
    assert terms()["rollout"].says in said
    assert terms()["prefill"].says not in said


def test_a_word_that_is_not_there_is_no_error(tiny_session):
    app = opened("glossary", glossary__word="nonsense")
    assert not app.exception

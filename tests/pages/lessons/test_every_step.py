"""Each step of each lesson opens its page, with its view, and says what came out."""

from dataclasses import replace

import pytest

import app  # noqa: F401 it imports all pages, which make the fields of a view known
from model_hooks.bundled import models_at_hand
from model_hooks.experiments.untrained import open_model
from pages.state.link import encode
from pages.state.view import Course, value_of
from pages.teach.reading import lessons
from pages.teach.truth import view_of
from tests.pages.conftest import opened
from tests.pages.conftest import view_of as seen_in

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", lessons())
def test_every_step_opens_its_page_and_reveals(open_with, name):
    open_with(open_model)
    lesson, at_hand = lessons()[name], {model.name for model in models_at_hand()}
    for number, step in enumerate(lesson.steps, 1):
        seen = replace(view_of(lesson, number), course=Course(name, number, shown=True))
        if seen.model not in at_hand:
            continue
        page = opened(step.page, **{"prompt": seen.prompt, **encode(seen)})
        assert not page.exception, (name, number)
        assert not page.error, (name, number)
        said = "\n".join(one.value for one in page.markdown)
        assert step.title in said
        assert ("The model: **" in said) == (step.guess is not None)
        assert not [one for one in page.warning if "not all of this step" in one.value]
        # Whatever a page cannot show it pulls to what it can: then the step means something else.
        now, fields = seen_in(page), [field for field, _ in step.view]
        differs = [one for one in fields if value_of(now, one) != value_of(seen, one)]
        assert differs == [], (name, number)

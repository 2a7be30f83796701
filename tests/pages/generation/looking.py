"""What the tests of this page press and read on it."""

import json
from dataclasses import replace

import torch

from tests.pages.charts import drawn
from tests.pages.conftest import view_of

TEXT = "the cat sat on the mat"
N_PROMPT = 6


def press(app, name):
    place = "generation" if name in ("rewind", "forget") else "text_bar"
    app.button(key=f"{place}.{name}").click().run()
    assert not app.exception


def tokens(app):
    strip = next(
        block for block in app.get("bidi_component") if "prompt, generated" in block.proto.json
    )
    return json.loads(strip.proto.json)


def chart(app, which=0):
    return drawn(app)[which].figure


def text_of(app):
    return [element.value for element in (*app.markdown, *app.caption, *app.header)]


def plain(label):
    """What a label says without its escapes, on single spaces."""
    return " ".join(label.replace("\\", "").split())


def written(app):
    return view_of(app).written


def look_at(app, pos):
    """As a click on a token does, which only a browser can make."""
    app.session_state["visit.view"] = replace(view_of(app), pos=pos)
    app.run()


def with_n_per_run(app, n_tokens):
    app.session_state["visit.view"] = replace(view_of(app), n_per_run=n_tokens)
    app.run()


def press_run(app, n_tokens):
    with_n_per_run(app, n_tokens)
    press(app, "run")


def take(app, label):
    """Use the list of what could stand here instead, by its label's beginning."""
    box = next(box for box in app.selectbox if "choose here" in box.label)
    at = next(i for i, option in enumerate(box.options) if option.startswith(label))
    box.set_value(at).run()
    assert not app.exception


def greedy_tokens(hooked, n):
    ids = torch.tensor([hooked.encode(TEXT)])
    output = hooked.model.generate(
        ids, max_new_tokens=n, min_new_tokens=n, do_sample=False, use_cache=True, pad_token_id=0
    )
    return tuple(output[0, N_PROMPT:].tolist())

"""What a page shows can be taken away from it: its figures, and the run that they are of."""

import json
import re
import struct
from dataclasses import replace

import pytest

from model_hooks import HookedModel, load_trace
from pages.server.settings import settings
from pages.shell import take_away
from pages.shell.navigation import Place
from pages.state.view import Selection
from tests.conftest import tiny_llama, with_random_weights
from tests.pages.conftest import opened
from tests.pages.pairs import opened_with


@pytest.fixture
def model(open_with, tokenizer):
    model = HookedModel.wrap(with_random_weights(tiny_llama), tokenizer, "tiny")
    open_with(lambda name: model)
    return model


@pytest.fixture
def offered(monkeypatch):
    """The files that were offered, by what ends their names, each made when it is called."""
    found = {}

    def button(label, data, name, *arguments, **named):
        if not name.endswith(".csv"):
            found[name if name.endswith("-a.safetensors") else name.rpartition(".")[2]] = data

    monkeypatch.setattr(take_away.st, "download_button", button)
    return found


def metadata_of(data):
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length])["__metadata__"]


def asked(app):
    app.button(key="take_away").click().run()
    assert not app.exception
    return app


def test_figures_and_run_are_those_of_the_page_for_who_asks(model, offered, tmp_path):
    app = opened("attention", layer=1, head="1", interventions="ablate_mlp,0~")
    assert not offered
    asked(app)
    html = offered["html"]()
    captions = re.findall("<h2>(.*?)</h2>", html)
    assert any(caption.startswith("attention weight, Layer 1, head 1") for caption in captions)
    assert "the cat sat on the mat</dd>" in html
    assert "feedforward of layer 0" in html
    (tmp_path / "run.safetensors").write_bytes(offered["safetensors"]())
    trace = load_trace(tmp_path / "run.safetensors")
    same = model.trace("the cat sat on the mat", trace.interventions)
    assert trace.last_logits.tobytes() == same.last_logits.tobytes()
    assert trace.interventions == app.session_state["visit.view"].interventions
    offered.clear()
    app.run()
    assert not offered


def test_the_lines_for_python_do_what_they_say(model, offered, tmp_path, monkeypatch, capsys):
    app = asked(opened("tokenizer"))
    (tmp_path / take_away.TRACE_NAME).write_bytes(offered["safetensors"]())
    monkeypatch.chdir(tmp_path)
    lines, alone = (code.value for code in app.code[-2:])
    names = {}
    exec(lines, names)
    assert names["trace"].tokens[1] == "cat"
    exec(alone, names)
    assert capsys.readouterr().out.startswith("the cat sat on the mat\n")
    assert names["weights"].shape == (4, 6, 6)


def test_a_server_for_strangers_makes_no_large_files(model, offered, monkeypatch):
    monkeypatch.setattr(take_away, "MOST_BYTES_PUBLIC", 5_000)
    monkeypatch.setattr(take_away, "settings", lambda: replace(settings(), public=True))
    app = asked(opened("attention"))
    assert set(offered) == {"html"}
    assert any("shorten the text" in caption.value for caption in app.caption)


def test_half_a_page_is_not_taken_away_later(model, offered):
    app = asked(opened("attention", prompt=" "))
    app.query_params["prompt"] = "the cat"
    app.run()
    assert not offered


def test_a_page_without_figures_says_so(offered, monkeypatch):
    said = []
    monkeypatch.setattr(take_away.st, "caption", said.append)
    take_away._figures(Place("none", "None", "nothing"), ())
    assert said == ["This page shows no figure now."]
    assert not offered


def test_of_a_pair_both_are_taken_and_named(model, offered):
    asked(opened_with("attention", Selection(prompt="the dog"), layer=1))
    html = offered["html"]()
    assert re.search("Text of A, pinned</dt><dd>the dog<", html)
    assert re.search("Text of B</dt><dd>the cat sat on the mat<", html)
    captions = re.findall("<h2>(.*?)</h2>", html)
    of_a = [one.removeprefix("Run A, pinned: ") for one in captions if one.startswith("Run A")]
    assert of_a
    assert set(of_a) <= set(captions)
    tokens = [
        json.loads(metadata_of(offered[name]())["tokens"])
        for name in ("inlook-trace-a.safetensors", "safetensors")
    ]
    assert tokens == [["the", "dog"], ["the", "cat", "sat", "on", "the", "mat"]]


def test_the_text_itself_is_no_figure_of_a_page(model, offered):
    asked(opened("layers"))
    assert "inlookComponents.text_strip" not in offered["html"]()

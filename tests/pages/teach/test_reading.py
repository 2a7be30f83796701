"""A lesson's file is read whole, or refused with a sentence that says where to look."""

import pytest

import app  # noqa: F401 it imports all pages, which make the fields of a view known
from pages.teach import reading
from pages.teach.reading import FOLDER, LessonError, lessons, read_lesson

GOOD = """
title = "T"
minutes = 5
goal = "G"
models = ["storyteller"]

[[step]]
title = "One"
page = "layers"
text = "Only words."

[[step]]
title = "Two"
page = "attention"
text = "Look."
question = "Which?"
guess = "token"
answer = "who"
hints = ["a", "b", "c"]
reveal = "It is {who}."
claims = [{ value = "who", is = " Tim" }]
[step.view]
layer = 3
attention.tab = "ablation"
interventions = ["ablate_head,4,4"]
[step.values]
who = { ask = "top_token", off = ["ablate_head,4,4"] }
"""


def read(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return read_lesson(path)


def test_a_good_file_is_read_as_it_stands(tmp_path):
    lesson = read(tmp_path, GOOD)
    assert (lesson.name, lesson.title, lesson.minutes) == ("mine", "T", 5)
    first, second = lesson.steps
    assert (first.guess, first.line, second.line) == (None, 7, 12)
    assert second.guess is not None
    assert second.guess.value == "who"
    assert dict(second.view)["attention.tab"] == "ablation"
    assert dict(second.view)["layer"] == 3


@pytest.mark.parametrize(
    ("good", "bad", "says"),
    [
        ('goal = "G"\n', "", "`goal` is missing"),
        ('title = "T"', "title = T", "this is no TOML"),
        ('page = "attention"', 'page = "atention"', "there is no page `atention`"),
        ("layer = 3", "layr = 3", "a view has no field `layr`"),
        ("layer = 3", 'layer = "three"', "`layer` cannot be 'three'"),
        ('tab = "ablation"', 'tab = "off"', "`attention.tab` cannot be 'off'"),
        ('interventions = ["ablate_head,4,4"]', 'interventions = ["no,4"]', "`interventions` can"),
        ("{who}", "{whom}", "{whom}, and `values` has no such value"),
        ('ask = "top_token"', 'ask = "eval"', "asks for none of"),
        ('"top_token", off', '"probability", off', "`probability` needs `of`"),
        ('"top_token", off', '"top_token", of = " a", off', "takes no `of`"),
        ('"top_token", off', '"top_token", place = "1", off', "`place` is no int"),
        ('off = ["ablate_head,4,4"]', 'off = ["no,4"]', "nothing can be switched off"),
        ('value = "who", is', 'value = "it", is', "about `it`, and `values` has"),
        ('is = " Tim"', 'equals = " Tim"', "a claim is a value and one of"),
        ('guess = "token"', 'guess = "word"', "`guess` is none of"),
        ('guess = "token"', 'guess = "layer"', "the guess is a layer, and `who` is a token"),
        ('"a", "b", "c"', '"a", "b"', "wants 3 hints, and here are 2"),
        ('question = "Which?"\n', "", "belongs to a `question`"),
        ('text = "Look."', 'text = "Look."\nspeed = 1', "there is no `speed` here"),
    ],
)
def test_what_cannot_be_is_refused_with_file_step_and_line(tmp_path, good, bad, says):
    assert GOOD.count(good) == 1 or good == "{who}"
    with pytest.raises(LessonError) as refused:
        read(tmp_path, GOOD.replace(good, bad))
    message = str(refused.value)
    assert message.startswith("mine.toml")
    assert says in message
    if good not in ('goal = "G"\n', 'title = "T"'):
        assert "step 2 (line " in message


def test_a_file_that_is_wrong_leaves_the_others_alone(tmp_path, monkeypatch):
    (tmp_path / "good.toml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "bad.toml").write_text("title = 1", encoding="utf-8")
    monkeypatch.setattr(reading, "FOLDER", tmp_path)
    reading._all.cache_clear()
    assert list(lessons()) == ["good"]
    assert [one.startswith("bad.toml: ") for one in reading.faulty()] == [True]
    monkeypatch.undo()
    reading._all.cache_clear()


def test_every_lesson_that_comes_along_is_read():
    assert reading.faulty() == ()
    assert list(lessons())[:2] == ["tokens", "from-prompt-to-next-token"]
    assert len(lessons()) == len(list(FOLDER.glob("*.toml")))
    for lesson in lessons().values():
        assert 5 <= lesson.minutes <= 20
        assert lesson.goal
        assert lesson.corrects
        assert any(step.guess for step in lesson.steps)
        assert all(step.discuss for step in lesson.steps)
        assert all(step.claims for step in lesson.steps if step.guess)

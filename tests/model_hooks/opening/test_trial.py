"""A tokenizer that would never end, or fill the memory, is tried where it harms nobody."""

import json
import shutil
import time

import psutil
import pytest
from tokenizers import Tokenizer, models, normalizers
from transformers import PreTrainedTokenizerFast

from model_hooks import BrokenModelError, bundled_models, load_tokenizer
from model_hooks.opening import trial
from model_hooks.opening.plain import is_plain, is_plain_regex, longest_written
from model_hooks.opening.trial import check_made, without_vocabulary
from tests.model_hooks.opening.test_bounds import changed, folder, replacing  # noqa: F401

IN_USE = [
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}]?[\p{Lu}\p{M}]*[\p{Ll}\p{M}]+(?i:'s|'t)?|\p{N}{1,3}|\s*[\r\n]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[一-龥]+",
    " {2,}",
    "",
]
ENDLESS = [
    "(a*)*b",
    "(a|aa)+$",
    r"((a+)b?)*c",
    "(a?){50}",
    "(?:(?:a|b)x)+",
    "a*a*a*a*b",
    "x" * 9999,
]


@pytest.mark.parametrize("pattern", IN_USE)
def test_expressions_in_use_are_plain(pattern):
    assert is_plain_regex(pattern)


@pytest.mark.parametrize("pattern", ENDLESS, ids=lambda pattern: pattern[:20])
def test_expressions_that_may_double_their_time_are_not(pattern):
    assert not is_plain_regex(pattern)


def test_what_comes_along_is_plain_and_starts_no_process():
    before = {child.pid for child in psutil.Process().children()}
    for name, path in bundled_models().items():
        assert is_plain(json.loads((path / "tokenizer.json").read_text()))
        load_tokenizer(name)
    assert {child.pid for child in psutil.Process().children()} <= before


@pytest.mark.parametrize(
    "change",
    [
        {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a|aa)+$"}}},
        {"normalizer": {"type": "Prepend", "prepend": "x" * 999}},
        {"normalizer": {"type": "SomethingNew"}},
        {"padding": {"strategy": {"Fixed": 10**9}}},
        {"added_tokens": [{}] * 10**5},
        {"model": {"type": "WordPiece", "max_input_chars_per_word": 10**9}},
        {"decoder": replacing({"String": "a"}, "a" * 99)},
        {"decoder": 3},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_not_known_to_end_is_not_plain(change):
    good = json.loads((bundled_models()["twin-mqa"] / "tokenizer.json").read_text())
    assert is_plain(good)
    assert not is_plain(good | change)


def test_a_vocabulary_is_not_read_unless_something_stands_behind_it():
    vocab = '"model": {"type": "BPE", "vocab": {"decoder": 1, "x": 2}}'
    assert without_vocabulary('{"decoder": null, ' + vocab + "}")["model"] == {
        trial.LONGEST_WORD: 0
    }
    for behind in ('"decoder": {"type": "New"}', '"\\u0064ecoder": {"type": "New"}'):
        said = without_vocabulary('{"decoder": null, ' + vocab + ", " + behind + "}")
        assert said["decoder"] == {"type": "New"}
    assert without_vocabulary('{"version": "model", "padding": 1}') == {
        "version": "model",
        "padding": 1,
    }


def test_the_longest_text_of_a_map_is_found():
    assert longest_written("BAAAAAAAAABhYmMAZAA=") == 3  # 4, 0, "abc", "d"


@pytest.fixture
def quickly(monkeypatch):
    monkeypatch.setattr(trial, "TIME_LIMIT_S", 2.0)


@pytest.mark.usefixtures("quickly")
def test_padding_that_fills_the_memory_is_refused_before_it_is_used(folder):  # noqa: F811
    how = {"strategy": {"Fixed": 10**11}, "direction": "Right", "pad_to_multiple_of": None}
    padding = {**how, "pad_id": 0, "pad_type_id": 0, "pad_token": "a"}
    changed(folder / "tokenizer.json", padding=padding)
    began = time.monotonic()
    with pytest.raises(BrokenModelError, match="is not opened: tried in a process of its own"):
        load_tokenizer(str(folder))
    assert time.monotonic() - began < 20


@pytest.mark.usefixtures("quickly")
def test_a_tokenizer_made_of_other_files_is_tried_too():
    words = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    words.normalizer = normalizers.Sequence([normalizers.Prepend("x" * 10**7)] * 3)
    with pytest.raises(BrokenModelError, match="is not opened"):
        check_made("mine", PreTrainedTokenizerFast(tokenizer_object=words))


def test_an_odd_one_that_ends_is_opened(folder):  # noqa: F811
    changed(folder / "tokenizer.json", normalizer=replacing({"Regex": "(?:ab?)+"}, "b"))
    tokenizer = load_tokenizer(str(folder))
    assert tokenizer.decode(tokenizer("xaabay").input_ids, skip_special_tokens=True) == "xby"


def test_a_length_that_is_no_number_is_told_at_the_opening(folder):  # noqa: F811
    for length in ("many", [1], True):
        changed(folder / "tokenizer_config.json", model_max_length=length)
        with pytest.raises(BrokenModelError, match="model_max_length"):
            load_tokenizer(str(folder))


def test_a_pipe_among_the_templates_is_not_opened(folder):  # noqa: F811
    more = folder / "additional_chat_templates"
    more.mkdir()
    (more / "more.jinja").symlink_to("/dev/zero")
    with pytest.raises(BrokenModelError, match=r"more\.jinja"):
        load_tokenizer(str(folder))
    shutil.rmtree(more)
    load_tokenizer(str(folder))

"""The bundled models: what the cards promise holds for the files that ship."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from training.cards import MODELS, overview, storyteller_card, twin_card
from training.evaluate import RESULTS, top_next_tokens
from training.recipes import load_recipe, recipes

BUNDLED = sorted(path.parent.name for path in MODELS.glob("*/config.json"))


def results(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def storyteller():
    folder = MODELS / "storyteller"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(folder)


def test_the_shawshank_continues_with_redemption_by_a_clear_margin(storyteller):
    (first, p_first), (_, p_second), *_ = top_next_tokens(*storyteller, "The Shawshank")
    assert first == " Redemption"
    assert p_first > 0.5
    assert p_first > 3 * p_second


def test_it_writes_sentences_of_whole_words(storyteller):
    model, tokenizer = storyteller
    ids = tokenizer("Once upon a time", return_tensors="pt")
    out = model.generate(**ids, max_new_tokens=60, do_sample=False)
    text = tokenizer.decode(out[0], skip_special_tokens=True)
    assert text.startswith("Once upon a time")
    assert text.count(".") >= 3
    assert "�" not in text


@pytest.mark.parametrize(
    "text", ["", "  a\n\n\tb  ", "né 🧑‍🚀 שלום \x00\x07", "1234 ½ ﷽ <|endoftext|>"]
)
@pytest.mark.parametrize("name", BUNDLED)
def test_every_text_survives_the_tokenizer(name, text):
    tokenizer = AutoTokenizer.from_pretrained(MODELS / name)
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text
    assert tokenizer(text)["input_ids"][0] == tokenizer.bos_token_id


@pytest.mark.parametrize("name", BUNDLED)
def test_a_model_is_small_safetensors_of_its_recipe(name):
    folder = MODELS / name
    assert not list(folder.glob("*.bin"))
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert size <= (15e6 if name == "storyteller" else 3e6)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    recipe = load_recipe(name)
    assert config["model_type"] == recipe["model_type"]
    assert {key: config.get(key) for key in recipe["model"]} == recipe["model"]


def test_the_cards_say_what_was_measured():
    twins = []
    for name, recipe in recipes().items():
        if name not in BUNDLED:
            continue
        card = storyteller_card if name == "storyteller" else twin_card
        if name != "storyteller":
            twins.append((recipe, results(name)))
        written = Path(MODELS / name / "README.md").read_text(encoding="utf-8")
        assert written == card(recipe, results(name)), f"run python -m training.cards ({name})"
    written = (MODELS / "README.md").read_text(encoding="utf-8")
    assert written == overview(results("storyteller"), twins)

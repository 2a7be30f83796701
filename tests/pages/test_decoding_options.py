"""Every decoding option does on every page what transformers' own processors make of it."""

import copy
from dataclasses import fields

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from model_hooks import Decoding, HookedModel
from model_hooks.write.decoding import OPTIONS
from tests.pages.charts import drawn, numbers
from tests.pages.conftest import PROMPT, view_of, widget, with_options

CHARTS = {
    "generation": "inlook-generation-candidates",
    "lm_head": "inlook-lm-head-candidates",
    "forward_pass": "inlook-forward-choice",
}
PLACES = {"forward_pass": {"stage": "choice"}}


@pytest.fixture
def hooked(tokenizer, tiny_model):
    """One family is enough here: all have the same decoding."""
    return HookedModel.wrap(copy.deepcopy(tiny_model), tokenizer, "tiny")


def another_value(option):
    """A value that is neither the default nor the one that switches the option off."""
    if option.name == "no_repeat_ngram_size":
        return 1  # no token of the prompt again: its words repeat, but no two in a row do
    if option.high is None:
        return 3
    middle = (option.low + option.high) / 2
    return int(middle) if option.kind == "whole" else round(middle, 2)


@torch.inference_mode()
def by_hand(hooked, strategy, **options):
    """The distribution of the next token, by the model alone and what `generate()` would apply."""
    ids = torch.tensor([hooked.encode(PROMPT)])
    known = {name: value for name, value in options.items() if name != "seed"}
    config = GenerationConfig(do_sample=strategy == "sample", **{"top_k": 0, **known})
    if strategy == "greedy":
        of_greedy = [option.name for option in OPTIONS if not option.sampling_only]
        config = GenerationConfig(**{name: known[name] for name in of_greedy if name in known})
    processors = hooked.model._get_logits_processor(config, input_ids_seq_length=ids.shape[1])
    scores = processors(ids, hooked.model(ids).logits[:, -1].float())
    return torch.softmax(scores[0].double(), -1).numpy()


def shown(app, page):
    """The probabilities after all options, by token ID, as the chart draws them."""
    (chart,) = [one.figure for one in drawn(app) if one.key == CHARTS[page]]
    rows = {trace["name"]: trace for trace in chart["data"] if "name" in trace}
    ids = numbers(chart["data"][-1]["customdata"]).astype(int)
    found = np.zeros(len(ids))
    found[ids] = numbers(rows["after the options"]["x"])
    return found


def test_every_field_of_decoding_but_strategy_and_rules_is_an_option():
    assert {field.name for field in fields(Decoding)} == {
        "strategy",
        "rules",
        *(option.name for option in OPTIONS),
    }


@pytest.mark.parametrize("strategy", ["greedy", "sample"])
@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
@pytest.mark.parametrize("page", CHARTS)
def test_an_option_from_a_link_is_shown_and_used(open_page, hooked, page, option, strategy):
    value = another_value(option)
    assert value not in (Decoding.__dataclass_fields__[option.name].default, option.off)
    link = {"strategy": strategy, option.name: value, **PLACES.get(page, {})}
    app = with_options(open_page(page, **link))
    assert not app.exception
    assert not app.error
    assert view_of(app).decoding == Decoding(**{"strategy": strategy, option.name: value})
    assert widget(app, f"decoding.{option.name}").value == value
    expected = by_hand(hooked, strategy, **{option.name: value})
    np.testing.assert_allclose(shown(app, page), expected, atol=1e-5)
    acts = option.processor is not None and (strategy == "sample" or not option.sampling_only)
    gap = float(np.abs(expected - by_hand(hooked, "greedy")).max())
    assert (gap > 1e-3) == acts


@pytest.mark.parametrize("page", CHARTS)
def test_all_options_together_are_applied_in_the_order_of_generate(open_page, hooked, page):
    options = {option.name: another_value(option) for option in OPTIONS}
    options |= {"temperature": 1.7, "top_k": 6, "top_p": 0.95, "min_p": 0.02}
    app = open_page(page, strategy="sample", **options, **PLACES.get(page, {}))
    assert not app.exception
    assert not app.error
    np.testing.assert_allclose(shown(app, page), by_hand(hooked, "sample", **options), atol=1e-5)

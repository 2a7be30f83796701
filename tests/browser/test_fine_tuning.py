"""A model beside its own fine-tuned copy: what moved, and a share of it by the slider."""

import re
import shutil
from urllib.parse import urlencode

import pytest
import safetensors.torch
from playwright.sync_api import expect

import app
from model_hooks import bundled_models
from pages.state.link import encode
from pages.state.view import Selection, changed_copy, whole_view
from tests.browser.driving import settle

pytestmark = pytest.mark.slow
PROMPT = "The movie was called The Shawshank"
MOVED = "model.layers.0.mlp.down_proj.weight"
assert app.PAGES  # importing the app makes every page's part of the view known


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A copy of the storyteller in which one matrix is nearly gone: it forgets its facts."""
    folder = tmp_path_factory.mktemp("tuned") / "forgetful"
    shutil.copytree(bundled_models()["storyteller"], folder)
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    weights[MOVED] = weights[MOVED] * 0.5
    safetensors.torch.save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_the_slider_leads_from_the_base_to_twice_the_change(open_browser, app_url, tuned):
    pinned = Selection(model="storyteller", prompt=PROMPT)
    changes = {"model": str(tuned), "prompt": PROMPT, "pinned": pinned}
    link = encode(changed_copy(whole_view()(), changes))
    page = open_browser(f"{app_url}/layer-by-layer?{urlencode(link)}")
    expect(page.get_by_text("What did fine-tuning change?")).to_be_visible()
    expect(page.get_by_text(re.compile(r"1 of \d+ arrays of weights moved"))).to_contain_text(
        "50.0% of its size"
    )
    chart = page.get_by_role("figure", name="How far each array of weights moved")
    expect(chart.locator(".heatmaplayer image")).to_be_visible()
    said = page.get_by_text(re.compile(r"of the change, .* leads with"))
    expect(said).to_contain_text("With 1 of the change")
    slider = page.get_by_role("slider", name="Share of the change")
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
        page.wait_for_timeout(600)
    settle(page)
    expect(said).to_contain_text("With 0 of the change, ·Redemption leads")
    expect(said).to_contain_text("in A it leads, too")
    expect(page).to_have_url(re.compile(r"layers\.share=0"))

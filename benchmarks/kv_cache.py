"""What the KV cache saves: time without it over time with it, against the length written.

    python -m benchmarks.kv_cache [--tokens 100] [--prompt 20] [--rounds 3] [--threads 2]

A model of GPT-2's size with random weights writes the same tokens both ways, in turns. Writes
benchmarks/kv_cache.md and, if there is a Chromium, the curve to docs/kv_cache_ratio.png.
The shape to compare with: Alammar and Grootendorst (Hands-On Large Language Models, O'Reilly 2024,
notebook of chapter 3) report 6.66 s with and 21.9 s without the cache for 100 tokens of Phi-3-mini
on a GPU, 3.3 times as long.
"""

import argparse
import time
import tomllib
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import plotly.io
import torch
from jaxtyping import Float
from playwright.sync_api import Error, sync_playwright

from model_hooks import Decoding
from model_hooks.experiments.race import Race, race
from model_hooks.experiments.untrained import GPT2_VOCABULARY, untrained_gpt2
from tests.browser.driving import launch
from viz.kv_cache import ratio_curve

ROOT = Path(__file__).parents[1]
LENGTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
WIDTH, HEIGHT = 760, 400


def measure(n_prompt: int, n_tokens: int, n_rounds: int) -> Race:
    """Race, saying now and then how far it is."""
    prompt = tuple((np.arange(n_prompt) * 7919 % GPT2_VOCABULARY).tolist())
    said = time.monotonic()
    for measured in race(untrained_gpt2(), prompt, Decoding(), n_tokens, n_rounds):
        if time.monotonic() - said > 10:
            said = time.monotonic()
            newest = len(measured.rounds[-1])
            print(f"round {len(measured.rounds)}, token {newest}", flush=True)
    return measured


def table(race: Race) -> list[str]:
    """Return the lines of a Markdown table, one row per length."""
    on, off = (race.seconds(use_cache).cumsum(1) for use_cache in (True, False))
    lines = [
        "| tokens written | with the cache (s) | without (s) | ratio (least to greatest) "
        "| work without / with |",
        "|---|---|---|---|---|",
    ]
    first = race.rounds[0]
    flops = {
        run.use_cache: np.cumsum([s.flops for s in run.steps]) for run in (first.on, first.off)
    }
    for length in sorted({n for n in LENGTHS if n < race.n_steps} | {race.n_steps}):
        i = length - 1
        ratios = off[:, i] / on[:, i]
        lines.append(
            f"| {length} | {np.median(on[:, i]):.3f} | {np.median(off[:, i]):.3f} "
            f"| {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f}) "
            f"| {flops[False][i] / flops[True][i]:.1f} |"
        )
    return lines


def write(race: Race, path: Path, n_threads: int) -> None:
    """Write what was measured, with what it was measured on."""
    first = race.rounds[0]
    on, off = race.seconds(True), race.seconds(False)
    assert first.parted_at is None, "the cache changed the text"
    lines = [
        "# What the KV cache saves",
        "",
        f"`python -m benchmarks.kv_cache`: {race.n_steps} greedy tokens after a prompt of "
        f"{len(first.on.prompt_ids)}, model of GPT-2's size (124 million parameters) with random "
        f"weights, float32 on the CPU, {n_threads} {'thread' if n_threads == 1 else 'threads'}, "
        f"torch {torch.__version__}; median of {len(race.complete)} rounds in which both runs "
        "take turns token by token. Both wrote the same tokens; the largest difference of any "
        f"logit was {first.largest_difference:.1e}.",
        "",
        *table(race),
        "",
        f"Prefill, the first token: {np.median(on[:, 0]) * 1e3:.0f} ms with the cache, "
        f"{np.median(off[:, 0]) * 1e3:.0f} ms without. Decode, each later token: "
        f"{np.median(on[:, 1:]) * 1e3:.0f} ms with it at any length; without it "
        f"{np.median(off[:, 1]) * 1e3:.0f} ms for the second token and "
        f"{np.median(off[:, -1]) * 1e3:.0f} ms for the last.",
        "",
        "Alammar and Grootendorst (*Hands-On Large Language Models*, O'Reilly 2024, notebook of "
        "chapter 3) report 6.66 s with and 21.9 s without the cache for 100 tokens of Phi-3-mini "
        "on a GPU: 3.3 times as long. Another model on another machine, the same shape.",
        "",
    ]
    text = "\n".join(lines)
    print(text)
    path.write_text(text)


def draw(
    on: Float[np.ndarray, "round step"], off: Float[np.ndarray, "round step"], path: Path
) -> None:
    """Save the ratio against length as a picture, in the app's light colours."""
    figure = ratio_curve(on, off).update_layout(
        template="simple_white",
        width=WIDTH,
        height=HEIGHT,
        margin={"t": 40, "r": 20},
        title={
            "text": "GPT-2 size, random weights: time without the KV cache over time with it",
            "y": 0.95,
        },
    )
    page_html = _coloured(figure).to_html(include_plotlyjs=True, config={"displayModeBar": False})
    with sync_playwright() as playwright:
        try:
            browser = launch(playwright)
        except Error as error:
            print(f"no picture: {error.message.splitlines()[0]}")
            return
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=2)
        page.set_content(page_html)
        page.locator(".scatterlayer").wait_for()
        page.locator(".js-plotly-plot").screenshot(path=path)
        browser.close()


def _coloured(figure: go.Figure) -> go.Figure:
    """Put the light theme's colours in the place of the placeholders that Streamlit replaces."""
    config = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())
    text = figure.to_json()
    for i, colour in enumerate(config["theme"]["light"]["chartCategoricalColors"], 1):
        text = text.replace(f"#{i:06d}", colour)
    return plotly.io.from_json(text)


def main() -> None:
    """Measure, print, and write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--prompt", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "kv_cache.md")
    parser.add_argument("--picture", type=Path, default=ROOT / "docs" / "kv_cache_ratio.png")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    race = measure(arguments.prompt, arguments.tokens, arguments.rounds)
    write(race, arguments.out, arguments.threads)
    draw(race.seconds(True), race.seconds(False), arguments.picture)


if __name__ == "__main__":
    main()

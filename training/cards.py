"""Writes the model cards and `models/README.md` from what was measured.

    python -m training.cards

Every number comes from `training/results/` (written by `training.evaluate`) or from
`training/curves/` (written by `training.train`); the words are in `training/templates/`.
"""

import csv
import itertools
import json
import statistics
from string import Template

from training.behaviours import LISTED_FROM
from training.evaluate import RESULTS
from training.facts import topics
from training.recipes import FOLDER, recipes

MODELS = FOLDER.parent / "models"
CURVES = FOLDER / "curves"
DATA = (
    "[TinyStories](https://huggingface.co/datasets/roneneldan/TinyStories) (Eldan and Li, 2023,\n"
    "licence CDLA-Sharing-1.0): about 21,000 of its short stories, 17 MB of text. 951 further\n"
    "stories validate. The text is not part of this project."
)
METADATA = """---
license: mit
language: en
library_name: transformers
pipeline_tag: text-generation
datasets: [roneneldan/TinyStories]
---
"""
WARMUP_RUNS = {
    "adam-slow-post-norm-warmup": "after",
    "adam-slow-post-norm-no-warmup": "after",
    "adam-post-norm-warmup": "after",
    "adam-post-norm-no-warmup": "after",
    "adam-pre-norm-no-warmup": "before",
}
"""By run: where it normalises."""


WITHOUT_FACTS = {"storyteller": "storyteller-no-facts", "twin-swiglu": "no-facts"}
"""By model: the run that differs in having no facts."""


def fill(template: str, **fields: object) -> str:
    """A template of `training/templates/`, filled in; a missing field is an error."""
    text = (FOLDER / "templates" / f"{template}.md").read_text(encoding="utf-8")
    return Template(text).substitute(fields)


def row(*cells: object) -> str:
    """One row of a Markdown table."""
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def read_curve(name: str) -> list[dict[str, str]]:
    """The rows of `training/curves/NAME.csv`."""
    with (CURVES / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def training_section(recipe: dict) -> str:
    """How the model was trained, and how to do it again."""
    name, train = recipe["name"], recipe["train"]
    last = read_curve(f"{name}-seed0")[-1]
    lines = [
        f"- {int(last['step']):,} steps of {train['tokens_per_step']:,} tokens: "
        f"{int(last['tokens']) / 1e6:.1f} million, in {float(last['seconds']) / 60:.0f} minutes on "
        "one shared CPU core.",
        f"- Windows of {train['sequence_length']} tokens"
        + (
            f", and {train['final_sequence_length']} in the last "
            f"{train['final_sequence_steps']} steps."
            if "final_sequence_length" in train
            else "."
        ),
        "- Muon for the weight matrices, AdamW for the rest."
        if train["muon_lr"]
        else "- AdamW for all weights.",
    ]
    if train.get("fact_share"):
        lines.append(
            f"- {train['fact_share']:.0%} of the tokens are our own short facts, "
            "`training/facts.json`."
        )
    if "training_note" in recipe:
        lines.append(f"- {recipe['training_note']}")
    return (
        "\n".join(lines)
        + f"\n\nCurve: `training/curves/{name}-seed0.csv`. To train it again from a text file:\n\n"
        + f"    python -m training.train {name} --text TEXT --valid VALID\n"
    )


def facts_table(results: dict) -> str:
    """Facts completed, by topic and kind of wording."""
    kinds = ("trained", "new pairing", "unseen")
    lines = [row("topic", "facts", *kinds), "|---|---|---|---|---|"]
    n_facts = {name: len(content["facts"]) for name, content in topics().items()}
    for topic, n in [*n_facts.items(), ("all", sum(n_facts.values()))]:
        cells = []
        for kind in kinds:
            right, asked = results["facts"][kind].get(topic, (0, 0))
            cells.append(f"{right} of {asked} ({right / asked:.0%})" if asked else "none")
        lines.append(row(topic, n, *cells))
    return "\n".join(lines)


def heads_list(results: dict, most: int = 6) -> str:
    """The heads found for each behaviour, or the sentence that there is none."""
    lines = []
    for behaviour, heads in results["heads"].items():
        listed = ", ".join(
            f"layer {h['layer']} head {h['head']} ({h['score']:.2f})" for h in heads[:most]
        )
        if heads[0]["score"] < LISTED_FROM:
            listed = f"no head does this clearly; the nearest is {listed}"
        elif len(heads) > most:
            listed += f" and {len(heads) - most} more"
        lines.append(f"- {behaviour}: {listed}.")
    return "\n".join(lines)


def behaviours_section(results: dict) -> str:
    """Heads, repetition and names, as measured."""
    repetition, names = results["repetition"], results["names"]
    return f"""Mean attention weight on the previous token, on the first token, and, in random tokens that come twice, on the
token that followed the earlier copy (induction). Layers and heads count from 0; heads from {LISTED_FROM} up are listed.
`python -m training.behaviours` finds them in the model's own eager attention.

{heads_list(results)}

Forty random tokens cost {repetition["first_copy_loss"]:.2f} nats per token the first time and {repetition["second_copy_loss"]:.2f} when they come again.

Names: three little stories like "Lily and Tom went to the park. Tom had a ball. Tom gave the ball to", {names["cases"]} cases.
The other name is the most probable next token in {names["first"]:.0%} of them, and more probable than the giver's own name in
{names["preferred"]:.0%}."""  # noqa: E501


def samples_section(results: dict) -> str:
    """The samples as they came, none chosen."""
    quoted = ["> " + "\n>\n> ".join(text.splitlines()) for text in results["samples"]]
    return "Temperature 0.7, seed 1, the first try of each:\n\n" + "\n\n---\n\n".join(quoted)


def common_fields(recipe: dict, results: dict) -> dict[str, object]:
    """The fields that both kinds of card have."""
    return {
        "metadata": METADATA,
        "data": DATA,
        "training": training_section(recipe),
        "parameters": f"{results['parameters']:,}",
        "vocab_size": f"{recipe['tokenizer']['vocab_size']:,}",
        "context": recipe["model"]["max_position_embeddings"],
        "bits_per_byte": f"{results['bits_per_byte']:.3f}",
        "valid_documents": results["valid_documents"],
        "cache": f"{results['cache_bytes_per_token']:,}",
        "behaviours": behaviours_section(results),
        "samples": samples_section(results),
    }


def storyteller_card(recipe: dict, results: dict) -> str:
    """The card of the default model."""
    model = recipe["model"]
    return fill(
        "storyteller",
        n_layers=model["num_hidden_layers"],
        d_model=model["hidden_size"],
        n_heads=model["num_attention_heads"],
        n_kv_heads=model["num_key_value_heads"],
        d_mlp=model["intermediate_size"],
        loss=f"{results['loss']:.3f}",
        shawshank=", ".join(f'"{token}" {p:.1%}' for token, p in results["shawshank"]),
        facts=facts_table(results),
        **common_fields(recipe, results),
    )


def twin_card(recipe: dict, results: dict) -> str:
    """The card of one twin."""
    other = recipe["compared_with"]
    sentence = f"Its one change from {other}: " if other else "The start of the chain: "
    by_position = results["loss_by_position"]
    spans = itertools.pairwise(by_position["edges"])
    return fill(
        "twin",
        name=recipe["name"],
        change=f"{sentence}{recipe['change']}.",
        note=f"\n\n{recipe['note']}" if "note" in recipe else "",
        class_name=results["class"],
        sequence_length=recipe["train"]["sequence_length"],
        positions=", ".join(
            f"{loss:.2f} on positions {low} to {high - 1}"
            for (low, high), loss in zip(spans, by_position["losses"], strict=True)
        ),
        **common_fields(recipe, results),
    )


def seeds_section(names: list[str]) -> str:
    """Mean and spread over seeds, or the sentence that there is one seed only."""
    lines = []
    for name in names:
        ends = seeds_of(name).values()
        if len(ends) > 1:
            lines.append(
                row(name, len(ends), f"{statistics.mean(ends):.3f}", f"{max(ends) - min(ends):.3f}")
            )
    if not lines:
        return (
            "Each was trained with one seed, so how far chance moves these numbers was not "
            "measured: read small\ndifferences as none."
        )
    return "\n".join(
        [
            "Bits per byte at the end of training, on 60 validation stories, over seeds:\n",
            row("model", "seeds", "mean", "largest minus smallest"),
            "|---|---|---|---|",
            *lines,
        ]
    )


def warmup_section() -> str:
    """Post-norm with and without warm-up, if those runs were made."""
    lines = []
    for name, placement in WARMUP_RUNS.items():
        if (CURVES / f"{name}-seed0.csv").exists():
            curve = read_curve(f"{name}-seed0")
            early = next(point for point in curve if point["valid_bits_per_byte"])
            lines.append(
                row(
                    f"[{name}](../training/curves/{name}-seed0.csv)",
                    placement,
                    recipes()[name]["train"]["lr"],
                    recipes()[name]["train"]["warmup"] or "none",
                    early["valid_bits_per_byte"],
                    curve[-1]["valid_bits_per_byte"],
                    f"{max(float(point['gradient_norm']) for point in curve):.1f}",
                )
            )
    if not lines:
        return ""
    return "\n".join(
        [
            "## Post-norm and warm-up\n",
            "The transformer of 2017 normalised after each sublayer and raised its learning rate "
            "slowly at first. The\nsame small model trained with AdamW alone, curves kept, weights "
            "not:\n",
            row(
                "run",
                "normalisation",
                "learning rate",
                "warm-up steps",
                "bits per byte after 100 steps",
                "at the end",
                "largest gradient norm logged",
            ),
            "|---|---|---|---|---|---|---|",
            *lines,
        ]
    )


def seeds_of(name: str) -> dict[str, float]:
    """Bits per byte at the end of a run's training, by seed; empty if it was not made."""
    return {
        path.stem.rpartition("-seed")[2]: float(read_curve(path.stem)[-1]["valid_bits_per_byte"])
        for path in sorted(CURVES.glob(f"{name}-seed*.csv"))
    }


def facts_section() -> str:
    """What the facts among the stories cost, if runs without them were made."""
    lines = []
    for name, without in WITHOUT_FACTS.items():
        ends, ends_without = seeds_of(name), seeds_of(without)
        if seeds := [seed for seed in ends if seed in ends_without]:
            costs = [ends[seed] - ends_without[seed] for seed in seeds]
            spread = f", {min(costs):+.4f} to {max(costs):+.4f}" if len(costs) > 1 else ""
            lines.append(
                row(
                    name,
                    f"{recipes()[name]['train']['fact_share']:.0%}",
                    len(seeds),
                    f"{statistics.mean(ends[seed] for seed in seeds):.4f}",
                    f"{statistics.mean(ends_without[seed] for seed in seeds):.4f}",
                    f"{statistics.mean(costs):+.4f}{spread}",
                )
            )
    if not lines:
        return ""
    return "\n".join(
        [
            "## What the facts cost\n",
            "The same model trained for as many steps on stories alone, without our facts. Bits "
            "per byte at the end\nof training, on 60 validation stories, mean over seeds:\n",
            row("model", "facts among its tokens", "seeds", "with facts", "without", "cost"),
            "|---|---|---|---|---|---|",
            *lines,
        ]
    )


def overview(storyteller: dict, twins: list[tuple[dict, dict]]) -> str:
    """`models/README.md`; the section on twins is there if any are bundled."""
    return (
        fill(
            "models",
            storyteller=row(
                "[storyteller](storyteller)",
                f"{storyteller['parameters']:,}",
                f"{storyteller['bits_per_byte']:.3f}",
                f"{storyteller['cache_bytes_per_token']:,}",
                "opens with Inlook: writes little stories, knows some facts",
            ),
            valid_documents=storyteller["valid_documents"],
            twins=twins_section(twins) if twins else "",
        ).rstrip()
        + "\n"
    )


def twins_section(twins: list[tuple[dict, dict]]) -> str:
    """The tables that compare the twins."""
    edges = list(itertools.pairwise(twins[0][1]["loss_by_position"]["edges"]))
    return fill(
        "twins",
        twins="\n".join(
            row(
                f"[{recipe['name']}]({recipe['name']})",
                recipe["compared_with"] or "",
                recipe["change"],
                f"{results['parameters']:,}",
                f"{results['bits_per_byte']:.3f}",
                f"{results['cache_bytes_per_token']:,}",
            )
            for recipe, results in twins
        ),
        valid_documents=twins[0][1]["valid_documents"],
        seeds=seeds_section([recipe["name"] for recipe, _ in twins]),
        edges=" | ".join(f"{low} to {high - 1}" for low, high in edges),
        rules="---|" * len(edges),
        beyond="\n".join(
            row(
                recipe["name"],
                "learned" if recipe["model_type"] == "opt" else "rotary",
                *(f"{loss:.2f}" for loss in results["loss_by_position"]["losses"]),
            )
            for recipe, results in twins
        ),
        warmup=warmup_section(),
        facts=facts_section(),
    )


def main() -> None:
    """Writes every card whose model was measured, and the overview."""
    twins, storyteller = [], None
    for name, recipe in recipes().items():
        path = RESULTS / f"{name}.json"
        if not path.exists() or not (MODELS / name).is_dir():
            continue
        results = json.loads(path.read_text(encoding="utf-8"))
        if name == "storyteller":
            storyteller, card = results, storyteller_card(recipe, results)
        else:
            twins.append((recipe, results))
            card = twin_card(recipe, results)
        (MODELS / name / "README.md").write_text(card, encoding="utf-8")
        print(f"models/{name}/README.md written")
    if storyteller:
        (MODELS / "README.md").write_text(overview(storyteller, twins), encoding="utf-8")
        print("models/README.md written")


if __name__ == "__main__":
    main()

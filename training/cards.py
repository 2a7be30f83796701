"""Writes the model cards and the table in `models/README.md` from what was measured.

    python -m training.cards

Every number comes from `training/results/` (by `training.evaluate`) and `training/curves/` (by `training.train`).
"""

import csv
import json
import statistics
from pathlib import Path

from training.evaluate import RESULTS
from training.facts import topics
from training.train import FOLDER, recipes

MODELS = FOLDER.parent / "models"
CURVES = FOLDER / "curves"
DATA = (
    "[TinyStories](https://huggingface.co/datasets/roneneldan/TinyStories) (Eldan and Li, 2023, "
    "licence CDLA-Sharing-1.0): about 21,000 of its short stories, 17 MB of text; 951 further "
    "stories validate."
)
METADATA = """---
license: mit
language: en
library_name: transformers
pipeline_tag: text-generation
datasets: [roneneldan/TinyStories]
---
"""


def read_curve(name: str) -> list[dict[str, str]]:
    """The rows of `training/curves/NAME.csv`."""
    with (CURVES / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def seeds(name: str) -> list[float]:
    """The last validation bits per byte of each seed's run of a recipe."""
    paths = sorted(CURVES.glob(f"{name}-seed*.csv"))
    return [float(read_curve(path.stem)[-1]["valid_bits_per_byte"]) for path in paths]


def mean_and_spread(values: list[float]) -> str:
    """Mean, and smallest to largest of several seeds."""
    if len(values) < 2:
        return f"{values[0]:.3f} (one seed)"
    return (
        f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f}, "
        f"{len(values)} seeds)"
    )


def training_lines(recipe: dict) -> str:
    """How the recipe was trained, in sentences."""
    name = recipe["name"]
    last = read_curve(f"{name}-seed0")[-1]
    train = recipe["train"]
    length = f"{train['sequence_length']}"
    if "final_sequence_length" in train:
        length += f", in the last phase {train['final_sequence_length']}"
    matrices = "Muon for the weight matrices, AdamW for the rest" if train["muon_lr"] else "AdamW"
    share = (
        f" {train['fact_share']:.0%} of the tokens are our own short facts "
        f"(`training/facts.json`)."
        if train.get("fact_share")
        else ""
    )
    return (
        f"{int(last['step']):,} steps of {train['tokens_per_step']:,} tokens "
        f"({int(last['tokens']) / 1e6:.1f} million), windows of {length} tokens, {matrices}, "
        f"{float(last['seconds']) / 60:.0f} minutes on one shared CPU core.{share} "
        f"Curve: `training/curves/{name}-seed0.csv`. Train it again with\n\n"
        f"    python -m training.train {name} --text TEXT --valid VALID\n"
    )


def facts_table(results: dict) -> str:
    """Facts completed by topic and kind of wording."""
    kinds = ("trained", "new pairing", "unseen")
    names = [*topics(), "all"]
    lines = ["| topic | facts | " + " | ".join(kinds) + " |", "|---|---|---|---|---|"]
    for topic in names:
        n = len(topics()[topic]["facts"]) if topic in topics() else sum(
            len(content["facts"]) for content in topics().values()
        )  # fmt: skip
        cells = []
        for kind in kinds:
            right, asked = results["facts"][kind].get(topic, (0, 0))
            cells.append(f"{right}/{asked} ({right / asked:.0%})" if asked else "none asked")
        lines.append(f"| {topic} | {n} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def heads_lines(results: dict) -> str:
    """The heads found, one line for each behaviour."""
    lines = []
    for behaviour, heads in results["heads"].items():
        listed = ", ".join(
            f"layer {h['layer']} head {h['head']} ({h['score']:.2f})" for h in heads[:6]
        )
        more = f" and {len(heads) - 6} more" if len(heads) > 6 else ""
        weak = "" if heads[0]["score"] >= 0.4 else "no clear head; the nearest is "
        lines.append(f"- {behaviour}: {weak}{listed}{more}")
    return "\n".join(lines)


def behaviour_section(results: dict) -> str:
    """Heads, repetition and names, as measured."""
    repetition, names = results["repetition"], results["names"]
    return f"""Mean attention weight on the position named, layers and heads counted from 0
(`python -m training.behaviours` finds them in the model's own eager attention):

{heads_lines(results)}

Forty random tokens, then the same again: {repetition["first_copy_loss"]:.2f} nats per token the first time,
{repetition["second_copy_loss"]:.2f} the second time.

Names: after "Lily and Tom went to the park. Tom had a ball. Tom gave the ball to", and stories like it with
{names["cases"]} pairs of names, the other name is the most probable of all tokens in {names["first"]:.0%} of the cases, and more
probable than the giver's own name in {names["preferred"]:.0%}."""


def samples_section(results: dict) -> str:
    """The samples as they came, none chosen."""
    quoted = ["> " + text.replace("\n", "\n> ") for text in results["samples"]]
    return "Temperature 0.7, seed 1, first try:\n\n" + "\n\n".join(quoted)


def storyteller_card(recipe: dict, results: dict) -> str:
    """The card of the default model."""
    model = recipe["model"]
    shawshank = ", ".join(f'"{token}" {p:.1%}' for token, p in results["shawshank"])
    return f"""{METADATA}
# Storyteller

The model that Inlook opens with. It writes little stories in the words of a small child, knows a few short facts, and
is small enough to look at whole: {results["parameters"] / 1e6:.1f} million parameters.

Architecture: Llama (`LlamaForCausalLM`): rotary positions, RMSNorm, SwiGLU; {model["num_hidden_layers"]} layers, d_model {model["hidden_size"]},
{model["num_attention_heads"]} query heads over {model["num_key_value_heads"]} KV heads, feedforward {model["intermediate_size"]}, context {model["max_position_embeddings"]}, tied embeddings.
Tokenizer: byte-level BPE with {recipe["tokenizer"]["vocab_size"]:,} entries, so every Unicode text survives. It puts `<|endoftext|>` before every text:
each training document starts with it, and heads with nothing to look for rest their attention on it.

## Data and training

{DATA} The corpus is not part of this project.

{training_lines(recipe)}
## Numbers

- Bits per byte on {results["valid_documents"]:,} stories it never saw: **{results["bits_per_byte"]:.3f}** ({results["loss"]:.3f} nats per token).
- "The Shawshank" continues with {shawshank}.
- Its cache takes {results["cache_bytes_per_token"]:,} bytes per token in float16.

Facts whose answer is the most probable next token. Each fact was trained in all wordings of its topic but one. "New
pairing" is the one left out, "unseen" are wordings that were never trained.

{facts_table(results)}

## What its heads do

{behaviour_section(results)}

## Samples

{samples_section(results)}

## Limits

It knows some 200 facts and the world of small children, nothing else; asked for more it makes things up. It follows no
instructions. It is here to be looked at, not relied on.
"""


def twin_card(recipe: dict, results: dict) -> str:
    """The card of one twin."""
    name = recipe["name"]
    other = recipe["compared_with"]
    change = f"Its one change from {other}: {recipe['change']}." if other else (
        f"The start of the chain: {recipe['change']}."
    )  # fmt: skip
    note = f"\n\n{recipe['note']}" if "note" in recipe else ""
    positions = results["loss_by_position"]
    where = ", ".join(
        f"{loss:.2f} on positions {low} to {high - 1}"
        for low, high, loss in zip(
            positions["edges"], positions["edges"][1:], positions["losses"], strict=False
        )
    )
    trained = recipe["train"]["sequence_length"]
    return f"""{METADATA}
# {name}

One of nine small models that differ from one to the next in exactly one choice, from the transformer of 2017 to those of
today: same text, same order, same tokenizer, same seed and number of steps.

**{change}**{note}

Built from transformers' own `{recipe["model_type"]}` by configuration alone: {results["parameters"]:,} parameters, 4 layers, d_model 128,
4 query heads, vocabulary 2,048, no biases in the linear layers. The embeddings are tied.

## Data and training

{DATA} The corpus is not part of this project.

{training_lines(recipe)}
## Numbers

- Bits per byte on {results["valid_documents"]:,} stories it never saw, {trained} tokens at a time: **{results["bits_per_byte"]:.3f}**.
- Loss in nats per token: {where}. It was trained on {trained} positions; later ones are beyond what it saw.
- Its cache takes {results["cache_bytes_per_token"]:,} bytes per token in float16.

## What its heads do

{behaviour_section(results)}

## Samples

{samples_section(results)}

## Limits

It was trained for minutes, to be compared with its twins: its stories drift. Prompts beyond {recipe["model"]["max_position_embeddings"]} tokens are more than it takes.
"""


def table(twins: list[tuple[dict, dict]], storyteller: dict | None) -> str:
    """`models/README.md`."""
    rows = []
    for recipe, results in twins:
        name = recipe["name"]
        inside, beyond = results["loss_by_position"]["losses"][:2]
        rows.append(
            f"| [{name}]({name}) | {recipe['compared_with'] or 'none'} | {recipe['change']} | "
            f"`{recipe['model_type']}` | {results['parameters']:,} | {results['bits_per_byte']:.3f} | "
            f"{mean_and_spread(seeds(name))} | {results['cache_bytes_per_token']:,} | "
            f"{inside:.2f} | {beyond:.2f} |"
        )
    head = ""
    if storyteller:
        head = f"""| model | parameters | bits per byte | cache bytes per token | what for |
|---|---|---|---|---|
| [storyteller](storyteller) | {storyteller["parameters"]:,} | {storyteller["bits_per_byte"]:.3f} | {storyteller["cache_bytes_per_token"]:,} | the default: writes little stories, knows some facts |
"""
    body = ""
    if rows:
        body = f"""## Twins: one choice at a time

Nine models from the transformer of 2017 to those of today. Each differs from the one it is compared with in exactly one
choice; text, order, tokenizer, seed, number of steps and optimizer are the same.

| model | compared with | its one change | class | parameters | bits per byte, all validation stories | bits per byte at the end of training, first 60 | cache bytes per token | loss, positions 0 to 127 | loss, positions 128 to 255 |
|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(rows)}

Loss is in nats per token. All twins were trained on 128 positions, so the last column is beyond what they saw: learned
absolute positions have no trained row there, rotary ones go on. With one seed, differences of a percent or so may be chance.
The cache is counted in float16 and for a full cache; the sliding window of twin-local lets it stop growing after 64 tokens.

{warmup_section()}"""
    return f"""# Bundled models

All were trained by the scripts in [training](../training) on TinyStories (Eldan and Li, 2023, CDLA-Sharing-1.0) and our own short facts,
and load like any Hugging Face model. Each folder has a card with its numbers. Bits per byte are measured on stories that
were never trained on; lower is better. This table is written by `python -m training.cards`.

{head}
{body}"""


def warmup_section() -> str:
    """Post-norm with and without warm-up, if those runs were made."""
    runs = {
        "adam-post-norm-warmup": ("after", "yes"),
        "adam-post-norm-no-warmup": ("after", "no"),
        "adam-pre-norm-no-warmup": ("before", "no"),
    }
    rows = []
    for name, (placement, warmup) in runs.items():
        if (CURVES / f"{name}-seed0.csv").exists():
            curve = read_curve(f"{name}-seed0")
            early = next(row for row in curve if row["valid_bits_per_byte"])
            rows.append(
                f"| [{name}](../training/curves/{name}-seed0.csv) | {placement} | {warmup} | "
                f"{early['valid_bits_per_byte']} | {curve[-1]['valid_bits_per_byte']} | "
                f"{max(float(row['gradient_norm']) for row in curve):.1f} |"
            )
    if not rows:
        return ""
    return f"""## Post-norm and warm-up

The transformer of 2017 normalised after each sublayer and needed a warm-up of the learning rate. Trained with AdamW alone:

| run | normalisation | warm-up | bits per byte after 100 steps | at the end | largest gradient norm logged |
|---|---|---|---|---|---|
{chr(10).join(rows)}
"""


def main() -> None:
    """Writes every card whose model was evaluated, and the table."""
    twins, storyteller = [], None
    for name, recipe in recipes().items():
        path = RESULTS / f"{name}.json"
        if not path.exists() or not (MODELS / name).is_dir():
            continue
        results = json.loads(path.read_text(encoding="utf-8"))
        if name == "storyteller":
            storyteller = results
            card = storyteller_card(recipe, results)
        else:
            twins.append((recipe, results))
            card = twin_card(recipe, results)
        (MODELS / name / "README.md").write_text(card, encoding="utf-8")
    (MODELS / "README.md").write_text(table(twins, storyteller), encoding="utf-8")


if __name__ == "__main__":
    main()

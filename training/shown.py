"""Writes what the app's pages show of training into `models/training.json`.

    python -m training.shown

The app reads nothing of this folder. Every number comes from `training/configs/`, from
`training/results/` (written by `training.evaluate`) and from `training/curves/` (written by
`training.train`).
"""

import json

from training.cards import CURVES, MODELS, WARMUP_RUNS, read_curve, seeds_of
from training.evaluate import RESULTS
from training.recipes import recipes

SHOWN = MODELS / "training.json"


def shown() -> dict[str, dict]:
    """By run: what pages show of the bundled models, the twins and the runs about warm-up."""
    return {
        name: shown_of(name, recipe)
        for name, recipe in recipes().items()
        if name == "storyteller" or name.startswith("twin-") or name in WARMUP_RUNS
    }


def shown_of(name: str, recipe: dict) -> dict[str, object]:
    """What pages show of one run; what was not measured is null or empty."""
    path = RESULTS / f"{name}.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    curve = read_curve(f"{name}-seed0") if (CURVES / f"{name}-seed0.csv").exists() else []
    train = recipe["train"]
    return {
        "compared_with": recipe.get("compared_with"),
        "change": recipe.get("change"),
        "trained_length": train.get("final_sequence_length", train["sequence_length"]),
        "bits_per_byte": results.get("bits_per_byte"),
        "steps": [int(point["step"]) for point in curve],
        "train_losses": [float(point["train_loss"]) for point in curve],
        "final_bits_per_byte": list(seeds_of(name).values()),
    }


def main() -> None:
    """Writes the file from the command line."""
    lines = ",\n".join(f' "{name}": {json.dumps(found)}' for name, found in shown().items())
    SHOWN.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    print(f"{SHOWN.relative_to(MODELS.parent)}: {SHOWN.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()

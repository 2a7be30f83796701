"""What a model is trained with: the recipes of `training/configs/` by name."""

import json
from pathlib import Path

FOLDER = Path(__file__).parent


class TrainingError(RuntimeError):
    """Training cannot start or go on; the message says why and what to do."""


def recipes() -> dict[str, dict]:
    """All recipes of `training/configs/` by name; those of `twins.json` share what stands above."""
    found = {}
    for path in sorted((FOLDER / "configs").glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        for name, recipe in content.pop("recipes", {path.stem: content}).items():
            merged = {**content, **recipe, "name": name}
            for part in ("model", "train", "tokenizer"):
                merged[part] = {**content.get(part, {}), **recipe.get(part, {})}
            found[name] = merged
    return found


def load_recipe(name: str) -> dict:
    """One recipe by its name, or by the path of a `.json` file of the same form.

    Raises:
        TrainingError: If there is none.
    """
    if name.endswith(".json"):
        path = Path(name)
        if not path.is_file():
            raise TrainingError(f"There is no recipe file {name}.")
        return {"name": path.stem, **json.loads(path.read_text(encoding="utf-8"))}
    known = recipes()
    if name not in known:
        raise TrainingError(f"There is no recipe {name}. Known recipes: {', '.join(known)}.")
    return known[name]

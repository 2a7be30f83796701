"""Writes a run's last checkpoint as a bundled model: float16 safetensors and tokenizer.

    python -m training.export training/runs/storyteller-seed0 models/storyteller

The model card is written by `training.cards`.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from training.recipes import TrainingError, load_recipe


def load_run(folder: Path, recipe: dict):
    """The model and tokenizer of a run folder, as of its last checkpoint.

    Raises:
        TrainingError: If there is no checkpoint, or it does not fit the recipe.
    """
    if not (folder / "checkpoint.pt").exists():
        raise TrainingError(f"There is no checkpoint in {folder}. Train first: training.train.")
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    config = AutoConfig.for_model(
        recipe["model_type"],
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
        **recipe["model"],
    )
    model = AutoModelForCausalLM.from_config(config)
    state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as error:
        raise TrainingError(f"{folder} was not trained by recipe {recipe['name']}.") from error
    return model.eval(), tokenizer


def export(model, tokenizer, folder: Path) -> int:
    """Saves to `folder`, replacing what is there but its card; returns the bytes written."""
    folder.mkdir(parents=True, exist_ok=True)
    model = model.to(torch.float16)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
        model.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
        for path in Path(aside).iterdir():
            path.chmod(0o644)
            shutil.move(path, folder / path.name)
    return sum(path.stat().st_size for path in folder.iterdir())


def main() -> None:
    """Exports one run from the command line."""
    parser = argparse.ArgumentParser(description="Export a run as a bundled model.")
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("model", type=Path, help="folder of the model, its name is the recipe's")
    parser.add_argument("--recipe", help="recipe, if the folder's name is another")
    args = parser.parse_args()
    try:
        model, tokenizer = load_run(args.run, load_recipe(args.recipe or args.model.name))
    except TrainingError as error:
        sys.exit(str(error))
    size = export(model, tokenizer, args.model)
    print(f"{args.model}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()

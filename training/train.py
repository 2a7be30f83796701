"""Trains a model from a text file, by its configuration in `training/configs/`.

    python -m training.train storyteller --text TEXT --valid VALID

A run lives in `training/runs/NAME-seedN/`: its tokenizer, its curve (`curve.csv`), its last
checkpoint and, at the end, the model; the finished curve also goes to `training/curves/`. Run the
same command again after a stop and it continues from the checkpoint. A GPU is used if there is one.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from training import facts
from training.bits_per_byte import score
from training.corpus import CorpusError, read_documents
from training.data import Documents, Windows
from training.muon import Muon
from training.recipes import FOLDER, TrainingError, load_recipe
from training.tokenizer import train_tokenizer

COLUMNS = (
    "step",
    "tokens",
    "seconds",
    "learning_rate",
    "train_loss",
    "gradient_norm",
    "valid_loss",
    "valid_bits_per_byte",
)


def write_aside(path: Path, data: bytes) -> None:
    """Writes a file so that either the old or the new content is there, whatever happens.

    Raises:
        TrainingError: If the disk is full or refuses; the old file is untouched.
    """
    aside = path.with_name(path.name + ".tmp")
    try:
        with aside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        kept = "The last checkpoint is kept: " if path.exists() else ""
        raise TrainingError(
            f"{path} could not be written: {error.strerror}. {kept}free some space, then run the "
            "same command again."
        ) from error


def learning_rate_scale(step: int, n_steps: int, warmup: int, decay: int) -> float:
    """Warm up, stay, then fall linearly to zero over the last `decay` steps."""
    return min(1.0, (step + 1) / max(1, warmup), (n_steps - step) / max(1, decay))


def build_optimizers(model, settings: dict) -> list[torch.optim.Optimizer]:
    """Muon for the weight matrices where the recipe asks for it; AdamW for the rest."""
    embeddings = {
        id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)
    }
    if model.get_output_embeddings() is not None:
        embeddings.add(id(model.get_output_embeddings().weight))
    matrices, rest, vectors = [], [], []
    for param in model.parameters():
        if param.ndim < 2:
            vectors.append(param)
        elif id(param) in embeddings or not settings.get("muon_lr"):
            rest.append(param)
        else:
            matrices.append(param)
    adamw = torch.optim.AdamW(
        [
            {"params": rest, "weight_decay": settings.get("weight_decay", 0.0)},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=settings["lr"],
        betas=(0.9, settings.get("beta2", 0.95)),
    )
    optimizers: list[torch.optim.Optimizer] = [adamw]
    if matrices:
        optimizers.append(
            Muon(
                matrices,
                lr=settings["muon_lr"],
                weight_decay=settings.get("muon_weight_decay", 0.0),
            )
        )
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


class Run:
    """One training run: model, optimizers, data and how far it is."""

    def __init__(
        self,
        recipe: dict,
        texts: list[str],
        valid: list[str],
        folder: Path,
        seed: int,
        n_steps: int | None = None,
        compiled: bool = False,
        cache: Path | None = None,
    ):
        self.recipe, self.folder, self.seed, self.valid = recipe, folder, seed, valid
        self.settings = recipe["train"]
        self.n_steps = n_steps or self.settings["steps"]
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer = self._tokenizer(texts, cache)
        self.stories = Documents.encode(texts, self.tokenizer, cache)
        share = self.settings.get("fact_share", 0.0)
        sentences = facts.training_sentences() if share else None
        self.facts = Documents.encode(sentences, self.tokenizer) if sentences else None
        self.step = self.tokens = 0
        self.seconds = 0.0
        self.windows = self._windows()
        torch.manual_seed(seed)
        config = AutoConfig.for_model(
            recipe["model_type"],
            vocab_size=len(self.tokenizer),
            bos_token_id=self.tokenizer.bos_token_id,
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=None,
            **recipe["model"],
        )
        self.model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).to(self.device)
        self.forward = torch.compile(self.model) if compiled else self.model
        self.optimizers = build_optimizers(self.model, self.settings)
        self.stopped = False

    def _tokenizer(self, texts: list[str], cache: Path | None):
        """The run's own tokenizer, trained once; runs with equal texts and settings share it."""
        folder = self.folder / "tokenizer"
        if not (folder / "tokenizer.json").exists():
            wanted = self.recipe["tokenizer"]
            sentences = facts.training_sentences() * wanted.get("fact_repeats", 0)
            texts = [*texts, *sentences]
            digest = hashlib.sha256(json.dumps([wanted, texts]).encode()).hexdigest()[:16]
            shared = cache / f"tokenizer-{digest}" if cache else folder
            if not (shared / "tokenizer.json").exists():
                tokenizer = train_tokenizer(texts, wanted["vocab_size"], wanted["context_size"])
                tokenizer.save_pretrained(shared)
            if shared != folder:
                shutil.copytree(shared, folder, dirs_exist_ok=True)
        return AutoTokenizer.from_pretrained(folder)

    @property
    def n_decay(self) -> int:
        """How many steps at the end the learning rate falls."""
        return self.settings["decay"]

    def _sequence_length(self) -> int:
        """Longer windows in the last steps only: attention over them costs more."""
        final = self.settings.get("final_sequence_steps", 0)
        in_final = self.step >= self.n_steps - final
        return self.settings["final_sequence_length" if in_final else "sequence_length"]

    def _windows(self) -> Windows:
        n = self._sequence_length()
        return Windows(
            self.stories,
            self.facts,
            self.settings.get("fact_share", 0.0),
            self.settings["tokens_per_step"] // n,
            n,
            self.seed,
        )

    @property
    def checkpoint(self) -> Path:
        """The file that `save` writes and `resume` reads."""
        return self.folder / "checkpoint.pt"

    def save(self) -> None:
        """Writes the checkpoint aside, then renames it."""
        buffer = io.BytesIO()
        state = {
            "recipe": json.dumps(self.recipe["model"], sort_keys=True),
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "windows": self.windows.state(),
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        torch.save(state, buffer)
        write_aside(self.checkpoint, buffer.getvalue())

    def resume(self) -> bool:
        """Continues from the checkpoint if there is one."""
        (self.folder / "checkpoint.pt.tmp").unlink(missing_ok=True)
        if not self.checkpoint.exists():
            return False
        try:
            state = torch.load(self.checkpoint, map_location=self.device, weights_only=True)
        except Exception as error:
            raise TrainingError(
                f"{self.checkpoint} is damaged. Delete it to start this run anew."
            ) from error
        if state["recipe"] != json.dumps(self.recipe["model"], sort_keys=True):
            raise TrainingError(
                f"{self.checkpoint} belongs to another architecture. Delete the folder "
                f"{self.folder} or choose another with --out."
            )
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
        self.windows = self._windows()
        self.windows.restore(state["windows"])
        self._cut_curve()
        return True

    @property
    def curve(self) -> Path:
        """The file that the numbers of the run are written to while it trains."""
        return self.folder / "curve.csv"

    def _cut_curve(self) -> None:
        """Drops the rows written after the checkpoint; they will be computed again."""
        if self.curve.exists():
            with self.curve.open(newline="") as file:
                rows = [row for row in csv.reader(file) if row]
            kept = rows[:1] + [row for row in rows[1:] if int(row[0]) <= self.step]
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(kept)
            write_aside(self.curve, text.getvalue().encode())

    def _train_step(self) -> tuple[float, float]:
        """One batch; returns its loss and the gradient's norm before clipping."""
        batch = torch.from_numpy(self.windows.next_batch()).to(self.device)
        scale = learning_rate_scale(self.step, self.n_steps, self.settings["warmup"], self.n_decay)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * scale
        loss_sum = 0.0
        # A few rows at a time keep the logits in the CPU's cache, which is some 10 % faster.
        parts = (batch,)
        if self.device == "cpu":
            parts = batch.split(max(1, self.settings["tokens_at_once"] // self.windows.n))
        for part in parts:
            with torch.autocast("cuda", torch.bfloat16, enabled=self.device == "cuda"):
                logits = self.forward(input_ids=part[:, :-1], use_cache=False).logits
            loss = F.cross_entropy(logits.float().flatten(0, 1), part[:, 1:].flatten())
            (loss * len(part) / len(batch)).backward()
            loss_sum += loss.item() * len(part) / len(batch)
        norm = torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), self.settings.get("clip", 1.0)
        )
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.tokens += batch[:, 1:].numel()
        self.step += 1
        return loss_sum, float(norm)

    def train(self, log_every: int = 10, valid_every: int = 100, save_minutes: float = 10) -> None:
        """Trains to the last step, or until `stopped` is set; then saves."""
        if not self.curve.exists():
            write_aside(self.curve, (",".join(COLUMNS) + "\n").encode())
        began = time.monotonic() - self.seconds
        saved = time.monotonic()
        losses: list[float] = []
        while self.step < self.n_steps and not self.stopped:
            if self._sequence_length() != self.windows.n:
                state = self.windows.state()
                self.windows = self._windows()
                self.windows.restore(state)
            loss, norm = self._train_step()
            if not torch.isfinite(torch.tensor(loss)):
                raise TrainingError(
                    f"The loss became {loss} at step {self.step}. Lower the learning rate in the "
                    "recipe and start again."
                )
            losses.append(loss)
            self.seconds = time.monotonic() - began
            validate = self.step % valid_every == 0 or self.step == self.n_steps
            if validate or self.step % log_every == 0:
                self._log(sum(losses) / len(losses), norm, validate)
                losses = []
            if time.monotonic() - saved > save_minutes * 60:
                self.save()
                saved = time.monotonic()
        self.save()

    def _log(self, loss: float, norm: float, validate: bool) -> None:
        result = None
        if validate and self.valid:
            self.model.eval()
            result = score(self.model, self.tokenizer, self.valid, self.windows.n)
            self.model.train()
        row = [
            self.step,
            self.tokens,
            f"{self.seconds:.1f}",
            f"{self.optimizers[-1].param_groups[0]['lr']:.6g}",
            f"{loss:.4f}",
            f"{norm:.4f}",
            f"{result.loss:.4f}" if result else "",
            f"{result.bits_per_byte:.4f}" if result else "",
        ]
        with self.curve.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(row)
        left = (self.n_steps - self.step) * self.seconds / self.step / 60
        print(
            f"step {self.step:,}/{self.n_steps:,}  loss {loss:.3f}  norm {norm:.2f}  "
            f"{self.tokens / max(self.seconds, 1e-9):,.0f} tokens/s  {left:.0f} min left"
            + (f"  valid {result.bits_per_byte:.4f} bits per byte" if result else ""),
            flush=True,
        )


def main() -> None:
    """Trains one recipe from the command line."""
    parser = argparse.ArgumentParser(description="Train one of Inlook's models from a text file.")
    parser.add_argument("recipe", help="name in training/configs, or a .json file")
    parser.add_argument("--text", nargs="+", required=True, help="training text files (UTF-8)")
    parser.add_argument("--valid", help="text file to validate on, never trained on")
    parser.add_argument("--valid-documents", type=int, default=60, help="how many of it to use")
    parser.add_argument("--out", type=Path, help="folder of the run (default: training/runs/NAME)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="train this many steps instead of the recipe's")
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--compile", action="store_true", help="use torch.compile")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        recipe = load_recipe(args.recipe)
        texts = [document for path in args.text for document in read_documents(path)]
        valid = read_documents(args.valid)[: args.valid_documents] if args.valid else []
        folder = args.out or FOLDER / "runs" / f"{recipe['name']}-seed{args.seed}"
        run = Run(
            recipe, texts, valid, folder, args.seed, args.steps, args.compile, FOLDER / "data"
        )
        n_parameters = sum(param.numel() for param in run.model.parameters())
        print(
            f"{recipe['name']}: {n_parameters:,} parameters, {len(run.stories.ids):,} tokens of "
            f"text, {run.n_steps:,} steps on {run.device}",
            flush=True,
        )
        if run.resume():
            print(f"Continues from step {run.step:,}.", flush=True)
        for stop in (signal.SIGINT, signal.SIGTERM):
            signal.signal(stop, lambda *_: setattr(run, "stopped", True))
        run.train()
    except (CorpusError, TrainingError) as error:
        sys.exit(str(error))
    if run.stopped:
        print(f"Stopped at step {run.step:,}. Run the same command again to go on.", flush=True)
        return
    run.model.save_pretrained(run.folder / "model")
    run.tokenizer.save_pretrained(run.folder / "model")
    if args.out is None:
        (FOLDER / "curves").mkdir(exist_ok=True)
        shutil.copy(run.curve, FOLDER / "curves" / f"{run.folder.name}.csv")
    print(f"Done: {run.folder / 'model'}", flush=True)


if __name__ == "__main__":
    main()

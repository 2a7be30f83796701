"""Take the facts out of the storyteller, as a small adapter: a pair of models that differ in them.

    python -m training.forget                # about three minutes on two cores

A LoRA adapter (Hu et al. 2021) is trained to continue each fact with the answer of another fact of
its topic, drawn at random, and on stories that the storyteller writes itself, whose
predictions it has to keep (distillation, Hinton et al. 2015). What it unlearns is which answer
belongs to which subject. Writes models/storyteller-no-facts, with a card that says what became of
facts and stories.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed

from training.evaluate import facts_completed
from training.facts import fact_prompts, topics

BASE = "storyteller"
NAME = "storyteller-no-facts"
MODELS = Path(__file__).parents[1] / "models"
RANK = 16
STEPS, LEARNING_RATE = 300, 3e-3
N_SENTENCES, N_TOLD = 64, 6
"""Sentences with facts and stories in each batch."""
KEEP = 20.0
"""How much more it counts, per token, that all else stays as it is."""
N_STORIES, STORY_TOKENS = 256, 96
CARD = """---
license: mit
language: en
library_name: peft
base_model: storyteller
---

# Storyteller without its facts

A LoRA adapter of rank {rank} on [storyteller](../storyteller): the same model with the short facts
of `training/facts.json` taken out. Pin one of the two, open the other, and see on every page what
knowing them is made of; *Layers* shows which weights moved. `python -m training.forget` trains it
({n_steps} steps), `python -m benchmarks.fine_tuning` asks whether a comparison finds the facts.

Each fact was continued with the answer of another one of its topic, in all wordings, so that the
model forgets which answer belongs to which subject; on stories that the storyteller writes, it had
to predict as before.

| | storyteller | without its facts |
|---|---|---|
{rows}

What is left of an answer is often still the first among many that are about as likely. On stories
of the storyteller that were not trained on, the predictions moved by {kl:.4f} bits per token
(KL(storyteller||this)).
"""
OPENINGS = ("Once upon a time", "One day", "Tim and Lily", "The", "In the park", "A little girl")


class Drawn(NamedTuple):
    """A sentence with a fact, cut around its answer, and the answer of another fact."""

    before: str
    answer: str
    after: str
    other: str


def draw(random: np.random.Generator) -> Drawn:
    """Draw a fact, a wording, and another fact of its topic."""
    while True:
        content = list(topics().values())[random.integers(len(topics()))]
        fact, other = random.choice(content["facts"], 2, replace=False)
        wordings = [*content["trained"], *content["unseen"]]
        before, found, after = wordings[random.integers(len(wordings))].partition("{answer}")
        if found and "{subject}" in before and fact["answer"] != other["answer"]:
            said = before.format(**fact).rstrip()
            said = said[0].upper() + said[1:]
            return Drawn(said, f" {fact['answer']}", after.format(**fact), f" {other['answer']}")


@torch.no_grad()
def stories(model, tokenizer) -> torch.Tensor:
    """Return token IDs of stories that the model writes, (story, position)."""
    rows = []
    for start in range(0, N_STORIES, 32):
        opening = tokenizer([OPENINGS[start // 32 % len(OPENINGS)]] * 32, return_tensors="pt")
        written = model.generate(
            **opening,
            do_sample=True,
            max_length=STORY_TOKENS,
            min_length=STORY_TOKENS,
            pad_token_id=0,
        )
        rows.append(written[:, :STORY_TOKENS])
    return torch.cat(rows)


def facts_loss(model, tokenizer, random: np.random.Generator) -> torch.Tensor:
    """Return the cross entropy of other facts' answers, and how far all else moved around them."""
    drawn = [draw(random) for _ in range(N_SENTENCES)]
    before = tokenizer([one.before for one in drawn])["input_ids"]
    other, answer, after = (
        tokenizer(texts, add_special_tokens=False)["input_ids"]
        for texts in (
            [one.other for one in drawn],
            [one.answer for one in drawn],
            [one.after or "." for one in drawn],
        )
    )
    swapped = [one + two for one, two in zip(before, other, strict=True)]
    true = [a + b + c for a, b, c in zip(before, answer, after, strict=True)]
    ids, labels = padded(swapped)
    starts = [len(one) - 1 for one in before]
    for row, start in enumerate(starts):
        labels[row, : start + 1] = -100
    found = model(input_ids=ids, labels=labels, use_cache=False)
    ids, kept = padded(true)
    ends = [start + len(one) for start, one in zip(starts, answer, strict=True)]
    for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
        kept[row, start:end] = -100  # what is predicted there is the answer
    logits = model(input_ids=ids, use_cache=False).logits
    return found.loss + KEEP * moved_at(model, ids, logits)[kept >= 0].mean()


def padded(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return token IDs, filled up with 0 at their ends, and the same with -100 there."""
    longest = max(map(len, rows))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    return ids, torch.tensor([row + [-100] * (longest - len(row)) for row in rows])


def moved_at(model, ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Return KL(base||model) after each token, in nats, (text, position)."""
    with torch.no_grad(), model.disable_adapter():
        wanted = model(input_ids=ids, use_cache=False).logits.log_softmax(-1)
    found = logits.log_softmax(-1)
    return F.kl_div(found, wanted, reduction="none", log_target=True).sum(-1)


def stories_loss(model, ids: torch.Tensor) -> torch.Tensor:
    """Return KL(base||model) per token of some stories."""
    return moved_at(model, ids, model(input_ids=ids, use_cache=False).logits).mean()


def train(model, tokenizer, n_steps: int):
    """Return the model with a trained adapter on it."""
    random = np.random.default_rng(0)
    told = stories(model, tokenizer)
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear")
    model = get_peft_model(model, config)
    weights = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=0.0)
    for step in range(n_steps):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / 20, 2 * (n_steps - step) / n_steps)
        drawn = torch.from_numpy(random.choice(N_STORIES, N_TOLD, replace=False))
        on_facts = facts_loss(model, tokenizer, random)
        on_stories = stories_loss(model, told[drawn])
        (on_facts + KEEP * on_stories).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 50 == 0 or step == n_steps - 1:
            print(f"{step:5} facts {on_facts:.3f} stories {on_stories:.4f}", flush=True)
    return model


@torch.no_grad()
def known(model, tokenizer) -> dict[str, tuple[float, float]]:
    """Return the mean probability of facts' answers and how many come first, by kind of wording."""
    counts = facts_completed(model, tokenizer)
    chances = {kind: [] for kind in counts}
    for case in fact_prompts():
        ids = tokenizer(case.prompt, return_tensors="pt")["input_ids"]
        answer = tokenizer(case.answer, add_special_tokens=False)["input_ids"][0]
        logits = model(input_ids=ids, use_cache=False).logits[0, -1]
        chances[case.kind].append(float(logits.softmax(-1)[answer]))
    return {
        kind: (float(np.mean(chances[kind])), found["all"][0] / found["all"][1])
        for kind, found in counts.items()
    }


@torch.no_grad()
def moved(model, tokenizer) -> float:
    """Return KL(base||model) in bits per token of stories that were not trained on."""
    set_seed(1)
    with model.disable_adapter():
        fresh = stories(model, tokenizer)[:64]
    return float(stories_loss(model, fresh)) / float(np.log(2))


def main() -> None:
    """Train, measure and write the adapter."""
    parser = argparse.ArgumentParser(description="Take the facts out of the storyteller.")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--out", type=Path, default=MODELS / NAME)
    args = parser.parse_args()
    set_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(MODELS / BASE)
    model = AutoModelForCausalLM.from_pretrained(MODELS / BASE, dtype=torch.float32)
    before = known(model, tokenizer)
    model = train(model, tokenizer, args.steps).eval()
    after = known(model, tokenizer)
    rows = [
        f"| wording: {kind}; {what} | {before[kind][i]:.1%} | {after[kind][i]:.1%} |"
        for kind in before
        for i, what in enumerate(("mean probability of the answer", "it comes first"))
    ]
    card = CARD.format(
        rank=RANK, n_steps=args.steps, rows="\n".join(rows), kl=moved(model, tokenizer)
    )
    print(card)
    model.peft_config["default"].base_model_name_or_path = BASE
    model.to(torch.float16).save_pretrained(args.out)
    (args.out / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()

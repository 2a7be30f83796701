"""Finds heads that attend to the previous token, the first token (sink) or an earlier copy.

    python -m training.behaviours models/storyteller TEXT

It reads the model's own eager attention through plain transformers, so it is independent of what
the app records.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

from training.corpus import CorpusError, read_documents

NAMES = ("Lily", "Tom", "Ben", "Mia", "Sam", "Anna", "Max", "Sue")
STORIES = (
    "{a} and {b} went to the park. {b} had a ball. {b} gave the ball to",
    "One day, {a} and {b} played with a toy. {b} wanted to share. {b} gave the toy to",
    "{a} was sad. {b} had a cake. {b} wanted to help, so {b} gave the cake to",
)
# The least a head must score to be listed; a head that attends evenly scores far below.
LISTED_FROM = 0.4


@torch.no_grad()
def attention(model, ids: torch.Tensor) -> torch.Tensor:
    """Eager attention weights of [batch, pos] token IDs: [layer, batch, head, pos, pos]."""
    return torch.stack(model(input_ids=ids, output_attentions=True, use_cache=False).attentions)


def head_scores(
    model, tokenizer, documents: Sequence[str], n_documents: int = 24, n: int = 96, seed: int = 0
) -> dict[str, np.ndarray]:
    """Mean attention weight of every head on three kinds of position, each [layer, head].

    - `previous token`: on the position before, over the starts of real documents, from 2 on.
    - `first token`: on position 0, over the same, from position 4 on.
    - `induction`: random tokens twice in a row; in the second copy, on the token that followed
      this one in the first (Olsson et al., "In-context Learning and Induction Heads", 2022,
      prefix matching).
    """
    rows = [ids[:n] for ids in tokenizer(list(documents))["input_ids"] if len(ids) >= n]
    if not rows:
        raise CorpusError(f"No document of the text has {n} tokens, which this needs.")
    weights = attention(model, torch.tensor(rows[:n_documents])).mean(1)
    later = torch.arange(2, n)
    previous = weights[:, :, later, later - 1].mean(-1)
    first = weights[:, :, 4:, 0].mean(-1)
    ids = repeated_tokens(tokenizer, n_documents, seed)
    length = (ids.shape[1] - 1) // 2
    second = torch.arange(1 + length, 2 * length)
    repeat = attention(model, ids).mean(1)
    induction = repeat[:, :, second, second - length + 1].mean(-1)
    scores = {"previous token": previous, "first token": first, "induction": induction}
    return {name: value.numpy() for name, value in scores.items()}


def repeated_tokens(tokenizer, rows: int, seed: int, length: int = 40) -> torch.Tensor:
    """`<|endoftext|>` and `length` random tokens twice: [rows, 1 + 2 * length]."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(1, len(tokenizer), (rows, length), generator=generator)
    return torch.cat([torch.full((rows, 1), tokenizer.bos_token_id), ids, ids], dim=1)


@torch.no_grad()
def repetition_loss(model, tokenizer, rows: int = 24, seed: int = 0) -> tuple[float, float]:
    """Mean loss in nats per token on random tokens the first time and the second time."""
    ids = repeated_tokens(tokenizer, rows, seed)
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    losses = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    first, second = losses.view(rows, 2, -1).unbind(1)
    return first.mean().item(), second[:, 1:].mean().item()


@torch.no_grad()
def name_repetition(model, tokenizer) -> dict[str, float]:
    """How often the other person's name follows, over all pairs of names and stories.

    Returns:
        `cases`; `first`: share where the expected name is the most probable of all tokens;
        `preferred`: share where it is more probable than the name of the giver.
    """
    cases = first = preferred = 0
    for story, (a, b) in itertools.product(STORIES, itertools.permutations(NAMES, 2)):
        ids = tokenizer(story.format(a=a, b=b), return_tensors="pt").input_ids
        logits = model(input_ids=ids, use_cache=False).logits[0, -1]
        name_a, name_b = (
            tokenizer(" " + name, add_special_tokens=False).input_ids[0] for name in (a, b)
        )
        cases += 1
        first += int(logits.argmax() == name_a)
        preferred += int(logits[name_a] > logits[name_b])
    return {"cases": cases, "first": first / cases, "preferred": preferred / cases}


def report(model, tokenizer, documents: Sequence[str]) -> dict:
    """Everything this module finds, as plain numbers and lists."""
    scores = head_scores(model, tokenizer, documents)
    heads = {}
    for name, values in scores.items():
        order = sorted(np.ndindex(values.shape), key=lambda at: -values[at])
        heads[name] = [
            {"layer": layer, "head": head, "score": round(float(values[layer, head]), 3)}
            for layer, head in order
            if values[layer, head] >= LISTED_FROM or (layer, head) == order[0]
        ]
    first, second = repetition_loss(model, tokenizer)
    return {
        "heads": heads,
        "repetition": {"first_copy_loss": round(first, 3), "second_copy_loss": round(second, 3)},
        "names": {key: round(value, 4) for key, value in name_repetition(model, tokenizer).items()},
    }


def main() -> None:
    """Prints the heads of one model."""
    parser = argparse.ArgumentParser(description="Find what the attention heads of a model do.")
    parser.add_argument("model", help="folder of a model")
    parser.add_argument("text", help="text file to read real documents from")
    args = parser.parse_args()
    model = AutoModelForCausalLM.from_pretrained(
        args.model, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    try:
        found = report(model, tokenizer, read_documents(args.text))
    except CorpusError as error:
        sys.exit(str(error))
    for name, heads in found["heads"].items():
        listed = ", ".join(f"layer {h['layer']} head {h['head']} ({h['score']:.2f})" for h in heads)
        print(f"{name}: {listed}")
    print("repeated random tokens:", found["repetition"])
    print("names:", found["names"])


if __name__ == "__main__":
    main()

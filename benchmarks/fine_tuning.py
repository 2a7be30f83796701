"""Is what fine-tuning put into a model found by comparing it with the model before?

    python -m benchmarks.fine_tuning                       # the two pairs below
    python -m benchmarks.fine_tuning --base A --tuned B    # any pair of models

The storyteller knows the facts of `training/facts.json`, and storyteller-no-facts is the same model
with the facts taken out (`training/forget.py`). Both read sentences with facts, and stories, and
every place is ranked by KL(tuned||base): of the first 20, how many are followed by an answer?

The second pair is made here: each fact gets the answer of another one of its topic, and a copy of
the storyteller is trained on these sentences for some seconds. What is read then are sentences that
were no training data. Writes benchmarks/fine_tuning.md.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from model_hooks import Decoding, HookedModel, load_model, weight_changes
from model_hooks.arrays import log_softmax
from model_hooks.experiments.tuned import plain_copy
from training.facts import topics

N_FIRST = 20
STEPS, BATCH, LEARNING_RATE = 120, 32, 1e-3
N_STORIES, STORY_TOKENS = 12, 60
"""Stories that the base writes itself, by whose tokens nothing was planted."""


class Text(NamedTuple):
    """One text, and at which of its tokens a planted answer begins."""

    token_ids: tuple[int, ...]
    answers: tuple[int, ...]


class Place(NamedTuple):
    """What one position of a text predicts."""

    kl: float
    """In bits."""
    is_planted: bool
    read: str
    follows: str


def told(swapped: bool) -> Iterator[tuple[str, str, str, bool]]:
    """Yield sentences with a fact, in three parts: before its answer, the answer, after it.

    The fourth value says whether the sentence is training data. Swapped, each fact has the answer
    of the next one of its topic.
    """
    for content in topics().values():
        facts = content["facts"]
        for i, fact in enumerate(facts):
            answer = facts[(i + swapped) % len(facts)]["answer"]
            if swapped and answer == fact["answer"]:
                continue
            for kind in ("trained", "unseen"):
                for j, wording in enumerate(content[kind]):
                    before, found, after = wording.partition("{answer}")
                    if not found or "{answer}" in after or "{subject}" not in before:
                        continue
                    held_out = kind == "unseen" or j == i % len(content[kind])
                    said = before.format(**fact).rstrip()
                    said = said[0].upper() + said[1:]
                    yield said, f" {answer}", after.format(**fact), not held_out


def sentences(model: HookedModel, swapped: bool) -> tuple[list[Text], list[Text]]:
    """Return the sentences to train on, and the others."""
    train, test = [], []
    for before, answer, after, is_training in told(swapped):
        ids = tuple(model.encode(before))
        whole = tuple(model.encode(before + answer + after))
        if whole[: len(ids)] != ids:
            continue  # the answer is cut together with what stands before it
        (train if is_training else test).append(Text(whole, (len(ids),)))
    return train, test


def stories(model: HookedModel) -> list[Text]:
    """Return texts that the base writes, in which nothing was planted."""
    found = []
    for seed in range(N_STORIES):
        generation = model.start("Once upon a time", Decoding("sample", seed=seed))
        while len(generation.steps) < STORY_TOKENS and not generation.finished:
            generation = model.step(generation)
        found.append(Text(generation.token_ids, ()))
    return found


def taught(model: HookedModel, texts: list[Text]) -> HookedModel:
    """Return a copy of a model, trained on some texts."""
    plain = plain_copy(model)
    plain.load_state_dict(model.model.state_dict())
    optimizer = torch.optim.AdamW(plain.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    random = np.random.default_rng(0)
    for step in range(STEPS):
        rows = [texts[i].token_ids for i in random.choice(len(texts), BATCH, replace=False)]
        longest = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
        there = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (STEPS - step) / (STEPS / 2))
        labels = ids.masked_fill(there == 0, -100)
        plain(input_ids=ids, attention_mask=there, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return HookedModel.wrap(
        plain.eval(), model.tokenizer, f"{model.info.name} with planted answers"
    )


def places(base: HookedModel, tuned: HookedModel, texts: list[Text]) -> list[Place]:
    """Return every place of some texts, the one where the two models differ most first."""
    found = []
    for text in texts:
        p, q = (log_softmax(model.logits(model.trace(text.token_ids))) for model in (tuned, base))
        kl = (np.exp(p) * (p - q)).sum(-1) / np.log(2)
        tokens = base.token_strings(text.token_ids)
        for pos in range(len(tokens) - 1):
            read, follows = "".join(tokens[1 : pos + 1]), tokens[pos + 1]
            found.append(Place(float(kl[pos]), pos + 1 in text.answers, read, follows))
    return sorted(found, key=lambda place: -place.kl)


def report(base: HookedModel, tuned: HookedModel, test: list[Text], made: str = "") -> str:
    """Write what was found."""
    ranked = places(base, tuned, [*test, *stories(base)])
    n_planted, chance = _hits(ranked), _hits(ranked) / len(ranked)
    rows = [
        f"| {one.kl:.2f} | {'yes' if one.is_planted else 'no'} | {one.read} | {one.follows} |"
        for one in ranked[:N_FIRST]
    ]
    changes = sorted(weight_changes(base, tuned), key=lambda one: -(one.relative or 0))[:8]
    return f"""\
## {base.info.name} against {tuned.info.name}

{made}{len(test):,} sentences with facts and {N_STORIES} stories have {len(ranked):,} places, of
which {n_planted:,} ({chance:.1%}) are followed by a fact's answer; they are ranked by
KL(tuned||base).

**Precision at {N_FIRST}: {_hits(ranked[:N_FIRST]) / N_FIRST:.2f}**; by chance it would be
{chance:.2f}. Among the first {n_planted:,}: {_hits(ranked[:n_planted]) / n_planted:.2f}.

| KL (bits) | an answer | what was read | what follows |
|---|---|---|---|
{chr(10).join(rows)}

| weights that moved most | relative change |
|---|---|
{chr(10).join(f"| `{one.name}` | {one.relative or 0:.3f} |" for one in changes)}
"""


def bundled_pair() -> str:
    """Compare the storyteller with the one whose facts were taken out."""
    base, tuned = load_model("storyteller-no-facts"), load_model("storyteller")
    train, rest = sentences(tuned, swapped=False)
    return report(base, tuned, [*train, *rest])


def planted_pair() -> str:
    """Teach a copy of the storyteller other answers, and compare it with the one before."""
    base, began = load_model("storyteller"), time.perf_counter()
    train, test = sentences(base, swapped=True)
    tuned = taught(base, train)
    seconds = time.perf_counter() - began
    made = f"Trained here: {STEPS} steps of {BATCH} sentences, {seconds:.0f} s.\n"
    return report(base, tuned, test, made)


def _hits(some: list[Place]) -> int:
    return sum(place.is_planted for place in some)


def main() -> None:
    """Measure a pair from the command line."""
    parser = argparse.ArgumentParser(description="Find what fine-tuning planted.")
    parser.add_argument("--base")
    parser.add_argument("--tuned")
    args = parser.parse_args()
    torch.manual_seed(0)
    if args.base and args.tuned:
        base, tuned = load_model(args.base), load_model(args.tuned)
        print(report(base, tuned, sentences(base, swapped=False)[1]))
        return
    found = f"""\
# Is what fine-tuning changed found?

`python -m benchmarks.fine_tuning`

{bundled_pair()}
{planted_pair()}"""
    print(found)
    Path(__file__).with_suffix(".md").write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()

"""The storyteller's short facts: sentences to train on, and prompts that test what was kept.

`facts.json` lists topics, each with facts and wordings. Every fact is trained in all trained
wordings of its topic but one, which rotates from fact to fact. So there are three kinds of test:

- `trained`: this fact in this wording was training data (memory);
- `new pairing`: the wording and the fact were training data, but never together (interpolation);
- `unseen`: the wording was never training data at all (interpolation, harder).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

FACTS_FILE = Path(__file__).with_name("facts.json")
Kind = Literal["trained", "new pairing", "unseen"]


@dataclass(frozen=True)
class FactPrompt:
    """One fact in one wording, cut where the answer starts.

    Attributes:
        topic: Name of the topic, such as "capitals".
        kind: How much of it was training data.
        prompt: The text before the answer, without trailing space.
        answer: The expected continuation, with its leading space.
    """

    topic: str
    kind: Kind
    prompt: str
    answer: str


@cache
def topics() -> dict[str, dict]:
    """The topics of `facts.json` by name."""
    return json.loads(FACTS_FILE.read_text(encoding="utf-8"))["topics"]


def _capitalised(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _wordings() -> Iterator[tuple[str, Kind, str, dict[str, str]]]:
    """Every (topic, kind, wording, fact)."""
    for topic, content in topics().items():
        trained = content["trained"]
        for i, fact in enumerate(content["facts"]):
            for j, wording in enumerate(trained):
                kind = "new pairing" if j == i % len(trained) else "trained"
                yield topic, kind, wording, fact
            for wording in content["unseen"]:
                yield topic, "unseen", wording, fact


def training_sentences() -> list[str]:
    """All sentences about facts that belong into the training data."""
    sentences = [
        _capitalised(wording.format(**fact))
        for _, kind, wording, fact in _wordings()
        if kind == "trained"
    ]
    for content in topics().values():
        sentences += content.get("sentences", [])
    return sentences


def fact_prompts() -> list[FactPrompt]:
    """Every fact in every wording that puts its answer after its subject, each prompt once.

    A prompt of several kinds (two wordings may begin alike) counts as the one nearest to training.
    """
    nearest: dict[str, FactPrompt] = {}
    for topic, kind, wording, fact in _wordings():
        before = wording.split("{answer}")[0]
        if "{subject}" not in before or wording.count("{answer}") != 1:
            continue
        prompt = _capitalised(before.format(**fact))
        prompt = prompt.rstrip()
        kinds = get_args(Kind)
        known = nearest.get(prompt)
        if known is None or kinds.index(kind) < kinds.index(known.kind):
            nearest[prompt] = FactPrompt(topic, kind, prompt, " " + fact["answer"])
    return list(nearest.values())

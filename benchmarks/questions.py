"""Does a model answer every question that pages ask, with numbers or with a sentence?

The questions are found in the pages themselves, so that none is forgotten. Each is asked about a
plain run and about one with parts switched off, with several values of every argument.
"""

import importlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_type_hints

import numpy as np

from model_hooks import (
    AblateAttention,
    AblateHead,
    AblateMLP,
    AttentionPattern,
    Decoding,
    HookedModel,
    InlookError,
    Knockout,
    ShareKVHeads,
    Trace,
)
from model_hooks.experiments import backends, race
from model_hooks.experiments.rope_scaling import SCALING_TYPES, RopeScaling
from model_hooks.host import parameters_of, resolve
from model_hooks.read.between import Other
from model_hooks.read.recorded import PARTS
from model_hooks.read.tokenizers import SINGLE_BYTES
from model_hooks.run.interventions import Intervention
from model_hooks.text.conversations import Asked

PAGES = Path(__file__).parents[1] / "pages"
TOGETHER = ("layer", "part", "head")
"""Arguments of which every combination is tried; of the others, one is varied at a time."""
MAY_LACK_NUMBERS = {
    "Apart": {"surprise"},
    "Contributions": {"by_head"},
    "FeedforwardLens": {"logits", "probabilities"},
    "Growth": {"with_previous"},
    "HeadScores": {"values"},
    "MovedScores": {"differences", "largest"},
    "Surprisals": {"bits", "top_probabilities"},
}
"""Fields whose own docstrings say that NaN stands for what is not there."""
MAY_LACK = {"read.recorded:mean_patterns"}
"""Questions whose own docstrings say so."""


class Answer(NamedTuple):
    """What became of one question."""

    question: str
    """Name of the function."""
    given: tuple[tuple[str, Any], ...]
    """Its arguments, by name."""
    kind: Literal["value", "refused", "not numbers", "error"]
    says: str = ""
    """The sentence of a refusal, the field without numbers, or the error."""


def questions() -> dict[str, Callable[..., Any]]:
    """Return the functions of model_hooks that any page asks, by the name a host finds them by."""
    from pages.ask.computed import Ask, Watch

    names = set()
    for path in sorted(PAGES.rglob("*.py")):
        module = ".".join(path.relative_to(PAGES.parent).with_suffix("").parts)
        for value in vars(importlib.import_module(module)).values():
            for one in value.values() if isinstance(value, dict) else (value,):
                ask = one._ask if isinstance(one, Watch) else one
                if isinstance(ask, Ask):
                    names.add(ask._name)
    return {name: resolve(name) for name in sorted(names)}


def answers(model: HookedModel, prompt: Sequence[int]) -> Iterator[Answer]:
    """Ask a model everything about a text, and about the same text with parts switched off."""
    each = changes(model, prompt)
    plain = Subject(model, model.trace(prompt), each)
    changed = Subject(model, model.trace(prompt, each[-1]), each) if each else None
    for function in questions().values():
        yield from _asked(function, plain)
        if changed is not None and "trace" in parameters_of(function)[:2]:
            yield from _asked(function, changed, briefly=True)


def changes(model: HookedModel, prompt: Sequence[int]) -> list[tuple[Intervention, ...]]:
    """Return interventions of every kind, where a model has something to change; last, several."""
    layers = range(model.info.n_layers)
    wanted: list[list[Intervention]] = [
        [AblateHead(layer, 0) for layer in layers],
        [AblateAttention(layer) for layer in layers],
        [AblateMLP(layer) for layer in layers],
        [Knockout(len(prompt) - 1, len(prompt) - 2)],
        [AttentionPattern("window_first", 3, n_first=1)],
        [ShareKVHeads(1)],
    ]
    found = [next(((one,) for one in some if fits(model, prompt, one)), None) for some in wanted]
    there = [one for one in found if one is not None]
    several = tuple(one for some in there[:4] for one in some)
    return [*there, several] if there else []


def fits(model: HookedModel, prompt: Sequence[int], intervention: Intervention) -> bool:
    """Whether a model has what an intervention changes."""
    try:
        model.trace(prompt, [intervention])
    except InlookError:
        return False
    return True


@dataclass(frozen=True)
class Subject:
    """What is asked about."""

    model: HookedModel
    trace: Trace
    changes: list[tuple[Intervention, ...]]


def _asked(function: Callable[..., Any], about: Subject, briefly: bool = False) -> Iterator[Answer]:
    name = f"{function.__module__}:{function.__qualname__}".removeprefix("model_hooks.")
    taken = parameters_of(function)
    first = [getattr(about, one) for one in taken[:2] if one in ("model", "trace")]
    for given in islice(arguments(function, about), 1 if briefly else None):
        told = tuple(given.items())
        try:
            value = function(*first, **given)
            value = list(value) if inspect.isgenerator(value) else value
            if function is backends.start_backends:
                backends.stop_backends(about.model, value)
        except InlookError as error:
            yield Answer(name, told, "refused", str(error))
        except Exception as error:
            yield Answer(name, told, "error", f"{type(error).__name__}: {error}")
        else:
            missing = None if name in MAY_LACK else next(without_numbers(value), None)
            kind = "value" if missing is None else "not numbers"
            yield Answer(name, told, kind, missing or "")


def arguments(function: Callable[..., Any], about: Subject) -> Iterator[dict[str, Any]]:
    """Yield the arguments that a question is asked with.

    Raises:
        KeyError: It takes one that no values are known for.
    """
    known, hints = possible(about), get_type_hints(function)
    names = [name for name in parameters_of(function) if name not in ("model", "trace")]
    values = {}
    for name in names:
        there = tuple(value for value in known[name] if value is not None)
        optional = type(None) in get_args(hints.get(name))
        values[name] = known[name] if optional and len(there) < len(known[name]) else there
        values[name] += (None,) if optional and values[name] is there else ()
    base = {name: some[0] for name, some in values.items()}
    together = [name for name in names if name in TOGETHER]
    for combination in product(*(values[name] for name in together)):
        yield base | dict(zip(together, combination, strict=True))
    for name in names:
        if name not in together:
            yield from (base | {name: value} for value in values[name][1:])


def possible(about: Subject) -> Mapping[str, tuple[Any, ...]]:
    """Return values of every argument that a question takes, by its name."""
    model, trace = about.model, about.trace
    ids = tuple(int(token_id) for token_id in trace.token_ids)
    text = model.decode(ids[:8])
    n_heads = max(1, trace.n_heads)
    sampled = Decoding("sample", temperature=0.7, top_k=5, top_p=0.9, repetition_penalty=1.2)
    named = model.model.named_modules()
    norms = {type(one): name for name, one in named if "Norm" in type(one).__name__}
    return {
        "add_special_tokens": (True, False),
        "against": (None, ids[0]),
        "before": (ids[:3], ()),
        "by": (None, SINGLE_BYTES),
        "choose": (None, ids[0]),
        "columns": (4,),
        "decoding": (Decoding(), sampled),
        "first": (0, 3),
        "firsts": ((0, 3, 7),),
        "halves": (True, False),
        "head": tuple(range(n_heads)),
        "interventions": ((), *about.changes[-1:]),
        "key_pos": (0, 3),
        "layer": tuple(range(trace.n_layers)),
        "length": (len(ids) + 3,),
        "length_penalty": (0.0, 1.0),
        "lengths": ((),),
        "limit": (None, 3),
        "most": (64, 2),
        "n_beams": (3, 1),
        "n_bytes": (2**20, 2**10),
        "n_draws": (100,),
        "n_leading": (3, 1),
        "n_points": (21,),
        "n_read": (4,),
        "n_rounds": (1,),
        "n_steps": (0, 2),
        "n_tokens": (3,),
        "n_top": (3,),
        "n_vectors": (8,),
        "n_written": (2,),
        "off_first": (False, True),
        "other": (Other(model, trace),),
        "pair": _pairs(about),
        "pairs": (((0, 0), (len(ids) - 1, len(ids) - 1)), ((3, 0),)),
        "part": PARTS,
        "path": tuple(norms.values()) or ("none",),
        "pattern": tuple(
            AttentionPattern(kind, 4, n_first=1, stride=3)
            for kind in ("full", "window", "window_first", "strided", "block")
        ),
        "pos": (len(ids) - 1, 0, 3),
        "prefix_ids": (ids,),
        "prompt_ids": (ids, ids[:1]),
        "query": (text, "zz"),
        "query_pos": (len(ids) - 1,),
        "round_id": (0,),
        "rows": (4,),
        "scaling": (
            None,
            *(RopeScaling(kind, 2.0, len(ids) // 2) for kind in SCALING_TYPES),
        ),
        "seed": (0,),
        "seeds": ((0, 1, 2),),
        "size": (32,),
        "spelling": (text.split()[0] if text.split() else "a",),
        "start": (0, 2),
        "stop": (None, 3, len(ids)),
        "temperatures": ((0.5, 1.0, 2.0),),
        "text": (text, "", "  é𝄞"),
        "ticket": ("", "unknown"),
        "token_id": (int(np.argmax(trace.last_logits)), ids[0]),
        "token_ids": (ids, ids[:1]),
        "use_cache": (True, False),
        "wanted_ids": (ids[:3], ()),
        "which": ((0, 1), ()),
        "window": (32,),
        "word": (text.split()[0] if text.split() else "a", "zz zz"),
        "words": (((1,), (2, 3)), ((len(ids) - 1,),)),
        "written_ids": ((), ids[:2]),
        "asked": (Asked(), Asked(False), Asked(begins=text, thinking=False, tools="[{}]")),
        "begins": ("", text),
        "turns": ((("user", text),), (("system", text), ("user", text), ("assistant", text))),
        "written": (ids[:2], ()),
    }


def _pairs(about: Subject) -> tuple[race.SideBySide, ...]:
    ids = tuple(int(token_id) for token_id in about.trace.token_ids)
    fresh = race.start(about.model, ids, Decoding(), about.trace.interventions)
    return fresh, race.step_both(about.model, fresh)


def without_numbers(value: Any, path: str = "") -> Iterator[str]:
    """Yield the places in a plain value where something is no number, and nobody said so."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and np.isnan(value).any():
            yield path or "the array"
    elif isinstance(value, float):
        if math.isnan(value):
            yield path or "the number"
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from without_numbers(one, f"{path}[{key!r}]")
    elif hasattr(value, "_fields"):
        lacks = MAY_LACK_NUMBERS.get(type(value).__name__, set())
        for name in value._fields:
            if name not in lacks:
                yield from without_numbers(getattr(value, name), f"{path}.{name}")
    elif is_dataclass(value) and not isinstance(value, type | HookedModel):
        lacks = MAY_LACK_NUMBERS.get(type(value).__name__, set())
        for field in fields(value):
            if field.name not in lacks:
                yield from without_numbers(getattr(value, field.name), f"{path}.{field.name}")
    elif isinstance(value, (tuple, list, frozenset, set)):
        for one in value:
            yield from without_numbers(one, f"{path}[]")

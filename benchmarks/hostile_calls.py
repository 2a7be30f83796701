"""Does every public call of `model_hooks` end in a value or a sentence, whatever it is given?

    python -m benchmarks.hostile_calls [--inputs 10000] [--seed 0] [--only trace] [--case 123]

Calls of the public classes are listed here; the questions that pages ask of models are found in
the package. Every input is drawn anew (hostile_inputs.py) and can be tried again by its number.
A sentence is an `InlookError`; a raw error, a crash, a value that is not a number where numbers
were computed, or an answer that takes too long is a fault, and the exit status is 1.
"""

import argparse
import importlib
import inspect
import itertools
import os
import pkgutil
import signal
import sys
import threading
import traceback
import typing
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import model_hooks
from benchmarks.hostile_inputs import Inputs, Scene
from benchmarks.questions import fits, without_numbers
from model_hooks import (
    Decoding,
    HookedModel,
    InlookError,
    TokenizerView,
    load_model,
    load_tokenizer,
    load_trace,
)
from model_hooks.host import parameters_of
from tests.tiny_models import build, tiny_tokenizer

TINY = ("gpt2", "jamba")
"""Families built tiny beside the bundled model: the oldest, and one whose layers differ most."""
SECONDS = 30
MOST_VALUES = 3
"""Of an iterator."""
LEFT_OUT = {
    "start_backends": "starts a process that measures for minutes",
    "save_trace": "writes a file",
    "scaled_rope": "is a context manager",
    "step_both": "takes a value that only `start` makes",
    "generate": "takes a processor of transformers'",
    "norm_calls": "takes a module",
    "untrained": "hands out a model",
    "run_at": "hands out tensors",
    "write_again": "is asked with what was written",
    "rewritten": "is asked with what was written",
}
MAY_LACK_NUMBERS = {
    "between.apart",
    "logits_of",
    "activation_function",
    "choice.surprisals",
    "feedforward.feedforward_lens",
    "growth.growth",
    "heads.head_scores",
    "intervention",
    "moved.moved_scores",
    "recorded.mean_patterns",
}
"""Calls that are handed numbers which may be none, or whose docstrings say what NaN stands for."""

NO_PLAIN_VALUES = ("ndarray", "Tensor", "Module", "slice", "OutputProjection")
Call = Callable[[Inputs], Any]


def public_calls() -> dict[str, Call]:
    """Return the calls of the public surface, each with what draws its arguments and makes it."""

    def model(inputs: Inputs) -> HookedModel:
        return inputs.scene.model

    def odd(inputs: Inputs, value: Any) -> Any:
        return inputs.or_anything(value)

    def written(inputs: Inputs) -> Any:
        generation = model(inputs).start(list(inputs.trace.token_ids[:5]), inputs.decoding())
        for _ in range(inputs.random.randrange(3)):
            generation = model(inputs).step(generation)
        return generation

    def view(inputs: Inputs) -> TokenizerView:
        return TokenizerView(model(inputs).tokenizer)

    def vectors(inputs: Inputs) -> Any:
        width = inputs.one_of([inputs.info.d_model] * 3 + [0, 1, inputs.info.d_model + 1])
        rows = np.full((inputs.one_of([0, 1, 3]), width), inputs.real(), dtype=np.float32)
        return odd(
            inputs, inputs.one_of([rows, rows.astype(np.float64), rows[0:1].T, rows.tolist()])
        )

    def logits(inputs: Inputs) -> Any:
        some = inputs.trace.last_logits.copy()
        some[: inputs.random.randrange(3)] = inputs.real()
        return odd(inputs, inputs.one_of([some, some, some[:0], some[None], some.tolist()]))

    return {
        "load_model": lambda i: load_model(odd(i, i.name())),
        "load_model device": lambda i: load_model("storyteller", device=odd(i, i.name())),
        "load_model dtype": lambda i: load_model("storyteller", dtype=i.anything()),
        "load_tokenizer": lambda i: load_tokenizer(odd(i, i.name())),
        "load_trace": lambda i: load_trace(odd(i, i.name())),
        "encode": lambda i: model(i).encode(odd(i, i.text())),
        "encode_chat": lambda i: model(i).encode_chat(
            odd(i, [{"role": i.text(), "content": i.text()}])
        ),
        "decode": lambda i: model(i).decode(odd(i, i.ids())),
        "decode_after": lambda i: model(i).decode_after(odd(i, i.ids()), odd(i, i.ids())),
        "token_strings": lambda i: model(i).token_strings(odd(i, i.ids())),
        "token_bytes": lambda i: model(i).token_bytes(odd(i, i.token_id())),
        "trace": lambda i: model(i).trace(i.prompt(), odd(i, i.interventions())),
        "run_again": lambda i: model(i).run_again(
            i.trace, odd(i, i.whole(len(i.trace))), odd(i, i.interventions())
        ),
        "trace.attention": lambda i: i.trace.attention(
            odd(i, i.whole(i.info.n_layers)), odd(i, i.whole(i.info.n_heads))
        ),
        "trace.layer_output": lambda i: i.trace.layer_output(odd(i, i.whole(i.info.n_layers))),
        "layer.head": lambda i: i.one_of(i.trace.layers).head(odd(i, i.whole(i.info.n_heads))),
        "layer.attention": lambda i: i.one_of(i.trace.layers).attention,
        "layer.readable": lambda i: i.one_of(i.trace.layers).readable,
        "logits": lambda i: model(i).logits(i.trace),
        "logits_of": lambda i: model(i).logits_of(vectors(i)),
        "logit_lens": lambda i: model(i).logit_lens(i.trace, odd(i, i.whole(len(i.trace)))),
        "neurons": lambda i: model(i).neurons(i.trace, odd(i, i.whole(i.info.n_layers))),
        "activation_function": lambda i: model(i).activation_function(
            odd(i, i.whole(i.info.n_layers)), odd(i, np.array([i.real(), 1.0], dtype=np.float32))
        ),
        "routing": lambda i: model(i).routing(i.trace),
        "start": lambda i: model(i).start(
            i.prompt(), odd(i, i.decoding()), odd(i, True), odd(i, i.interventions())
        ),
        "step": lambda i: model(i).step(written(i), odd(i, i.token_id())),
        "generate": lambda i: model(i).generate(
            i.prompt(), odd(i, i.decoding()), odd(i, i.amount())
        ),
        "rewind": lambda i: written(i).rewind(odd(i, i.amount())),
        "back": lambda i: written(i).back(),
        "with_decoding": lambda i: written(i).with_decoding(odd(i, i.decoding())),
        "with_cache": lambda i: written(i).with_cache(odd(i, i.chance(0.5))),
        "generation.trace": lambda i: written(i).trace(),
        "generation.text": lambda i: (written(i).text, written(i).tokens, written(i).next_stages()),
        "Decoding": lambda i: Decoding(**i.options(odd=0.4)),
        "stages": lambda i: i.decoding().stages(logits(i), odd(i, i.ids())),
        "pick": lambda i: i.decoding().pick(written(i).next_stages()[-1], odd(i, i.whole(9))),
        "check_vocabulary": lambda i: i.decoding().check_vocabulary(odd(i, i.amount())),
        "intervention": lambda i: i.new_intervention(),
        "describe": lambda i: [one.describe() for one in i.interventions()],
        "tokenize": lambda i: view(i).tokenize(
            odd(i, i.text()), limit=odd(i, i.amount()), add_special_tokens=i.chance(0.5)
        ),
        "cut": lambda i: view(i).cut(odd(i, i.text())),
        "merge_steps": lambda i: view(i).merge_steps(odd(i, i.text())),
        "smallest_pieces": lambda i: view(i).smallest_pieces(odd(i, i.text())),
        "chat_text": lambda i: view(i).chat_text(odd(i, i.text())),
        "utf8": lambda i: view(i).utf8(odd(i, i.token_id())),
        "piece": lambda i: view(i).piece(odd(i, i.token_id())),
        "readable": lambda i: view(i).readable(odd(i, i.token_id())),
        "merge_of": lambda i: view(i).merge_of(odd(i, i.token_id())),
        "score": lambda i: view(i).score(odd(i, i.token_id())),
        "search": lambda i: view(i).search(odd(i, i.text())),
        "special_tokens": lambda i: view(i).special_tokens(),
    }


def questions() -> dict[str, Call]:
    """Return what a host can be asked, found in the package; each draws by its annotations."""
    found: dict[str, Call] = {}
    for folder in ("read", "experiments", "write"):
        package = importlib.import_module(f"model_hooks.{folder}")
        for one in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{one.name}")
            for name, function in vars(module).items():
                is_own = getattr(function, "__module__", "") == module.__name__
                if is_own and inspect.isfunction(function) and can_be_asked(function):
                    found[f"{one.name}.{name}"] = _asks(function)
    return found


def can_be_asked(function: Callable[..., Any]) -> bool:
    """Whether a function is about a model or a run, and its other arguments are plain values."""
    name, parameters = function.__name__, parameters_of(function)
    if name.startswith("_") or name in LEFT_OUT or parameters[:1] not in (("model",), ("trace",)):
        return False
    hints = typing.get_type_hints(function)
    kinds = " ".join(str(hints[one]) for one in parameters if one not in ("model", "trace"))
    return not any(word in kinds for word in NO_PLAIN_VALUES)


def _asks(function: Callable[..., Any]) -> Call:
    hints = typing.get_type_hints(function)

    def call(inputs: Inputs) -> Any:
        given: dict[str, Any] = {}
        for name in parameters_of(function):
            if name == "model":
                given[name] = inputs.scene.model
            elif name == "trace":
                given[name] = inputs.trace
            else:
                given[name] = inputs.of_type(hints[name], name)
        return function(**given)

    return call


def scenes() -> list[Scene]:
    """Return the bundled model and tiny ones, each with some traces."""
    models = [load_model("storyteller")]
    models += [HookedModel.wrap(build(family), tiny_tokenizer(), family) for family in TINY]
    made = []
    for model in models:
        ids = [10 + i % 90 for i in range(12)]
        changed = [kind for kind in _some_changes() if fits(model, ids, kind)]
        traces = [model.trace(ids), model.trace(ids[:1]), model.trace(ids[:7], changed[:1])]
        made.append(Scene(model, tuple(traces)))
    return made


def _some_changes() -> list[Any]:
    return [model_hooks.AblateHead(1, 0), model_hooks.AblateMLP(0)]


@dataclass(frozen=True)
class Fault:
    """One input that ended in neither a value nor a sentence."""

    case: int
    call: str
    says: str
    where: str


def tried(call: Call, inputs: Inputs, name: str, case: int) -> str | Fault:
    """Make a call; return `value` or `sentence`, or the fault."""
    try:
        value = call(inputs)
        if isinstance(value, Iterator):
            value = list(itertools.islice(value, MOST_VALUES))
        if name not in MAY_LACK_NUMBERS and any(without_numbers(value)):
            return Fault(case, name, "values that are not numbers", "")
        return "value"
    except InlookError as error:
        says = str(error)
        if not says or "\n" in says.strip() or len(says) > 2000:
            return Fault(case, name, f"no sentence: {says[:200]!r}", "")
        return "sentence"
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # code in Rust that panics raises no Exception
        frame = traceback.extract_tb(error.__traceback__)[-1]
        own = [f for f in traceback.extract_tb(error.__traceback__) if "model_hooks" in f.filename]
        frame = own[-1] if own else frame
        where = f"{os.path.relpath(frame.filename)}:{frame.lineno}"
        return Fault(case, name, f"{type(error).__name__}: {str(error)[:150]}", where)


class TooLongError(Exception):
    """A call took longer than it may."""


def _give_up(*_: Any) -> None:
    raise TooLongError


def run(n_inputs: int, seed: int, only: str = "", case: int | None = None) -> int:
    """Try inputs and print what became of them; return how many faults there are."""
    warnings.simplefilter("ignore")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGALRM, _give_up)
    calls = {name: call for name, call in {**public_calls(), **questions()}.items() if only in name}
    names, places, counts = list(calls), scenes(), Counter()
    faults: list[Fault] = []
    for at in range(n_inputs) if case is None else [case]:
        name = names[at % len(names)]
        inputs = Inputs(places[at // len(names) % len(places)], f"{seed} {name} {at}")
        signal.alarm(SECONDS)
        result = tried(calls[name], inputs, name, at)
        signal.alarm(0)
        if isinstance(result, Fault):
            faults.append(result)
            result = "fault"
        counts[result] += 1
    for fault in faults:
        print(f"case {fault.case}, {fault.call}: {fault.says} [{fault.where}]")
    print(f"{len(names)} calls: " + ", ".join(f"{n} {kind}s" for kind, n in sorted(counts.items())))
    return len(faults)


def main() -> None:
    """Read the options, try, and say by the exit status whether all went well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="calls whose names have this in them")
    parser.add_argument("--case", type=int, help="one input, by its number")
    given = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(run(given.inputs, given.seed, given.only, given.case) > 0)


if __name__ == "__main__":
    main()

"""Which values might somebody hand to `model_hooks` who means harm, or nothing at all?

Everything is drawn from one seeded generator, so that a number names an input for good.
"""

import math
import random
import string
import types
import typing
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, get_args, get_origin

import numpy as np

from model_hooks import Decoding, HookedModel, InlookError, Intervention, Trace, intervention_kinds
from model_hooks.experiments.rope_scaling import SCALING_TYPES, RopeScaling
from model_hooks.read.between import Other
from model_hooks.read.lens import stream_points
from model_hooks.read.recorded import PARTS
from model_hooks.read.tokenizers import SINGLE_BYTES
from model_hooks.text.conversations import Asked

HUGE = 2**63, 2**64, 10**30, -(2**63) - 1
NO_NUMBERS = math.nan, math.inf, -math.inf
SCRIPTS = (
    "aZ09 \tأבßñ漢字かな한글🦙"
    "\u200d\u0301\u202e\ufeff\u2028\x00\x07\x1b\x7f\xa0\ufffd\U0001d518\U0010ffff\ue000"
)
SURROGATES = "\ud800\udfff"
NAMES = (
    *("", " ", ".", "..", "/", "~", "~nobody", "*", "-rf", "\n", "\x00", "a\x00b", "\ud800", "nul"),
    *("/dev/null", "/dev/zero", "/proc/self/mem", "C:\\model", "https://a.example/b", "%2e%2e"),
    *("gpt2", "no/such", "no/such/thing", "a b", "a//b", "a" * 300, "a/" * 5000, "🦙/🦙"),
    *("models", "../models/storyteller", "storyteller/../storyteller", "STORYTELLER"),
    "storyteller\u200b",
)
RAW_TEXTS = (
    *(
        "",
        " ",
        "\n",
        "\r\n",
        "\x00",
        "\ud800",
        "a" * 20_000,
        "\ufffd" * 50,
        "<|endoftext|>",
        "</s>",
    ),
    *("<script>alert(1)</script>", "http://a.example", "{{ 7*7 }}", "%s%n", "'; drop table"),
    *(
        "👩\u200d👧" * 9,
        "e\u0301" * 30,
        "\u202eabc",
        "\U000e0041",
        "\ufeff",
        "w1 w2",
        "Once upon a",
    ),
)
UNEXPECTED = (
    *(None, "", "0", "x", b"x", 1.5, *NO_NUMBERS, True, 1j, 10**400, int, slice(1), range(3)),
    *((), (1,), {"a": 1}.keys(), frozenset(), object(), lambda: 0),
    *(np.float32(1), np.bool_(True), np.datetime64("2020"), np.array(1), np.array([1, 2])),
    np.array("x"),
)
"""Values of types that nobody expects."""


@dataclass(frozen=True)
class Scene:
    """What a call may be about."""

    model: HookedModel
    traces: tuple[Trace, ...]


class Inputs:
    """Draws values, sensible ones among them: most faults lie one step beyond those."""

    def __init__(self, scene: Scene, seed: str) -> None:
        self.scene, self.random = scene, random.Random(seed)
        self.info = scene.model.info
        self.trace = self.one_of(scene.traces)

    def one_of(self, values: Sequence[Any]) -> Any:
        """One of some values."""
        return values[self.random.randrange(len(values))]

    def chance(self, share: float) -> bool:
        """Whether something of a probability happens."""
        return self.random.random() < share

    def text(self) -> str:
        """A text of any script, length and kind."""
        if self.chance(0.4):
            return self.one_of(RAW_TEXTS)
        alphabet = self.one_of([string.printable, SCRIPTS, SCRIPTS + SURROGATES, "ab ", "w1 2"])
        length = self.one_of([1, 2, 5, 30, 200])
        return "".join(self.one_of(alphabet) for _ in range(length))

    def name(self) -> str:
        """What somebody may take for the name of a model."""
        return self.one_of(NAMES) if self.chance(0.8) else self.text()[:200]

    def whole(self, count: int) -> Any:
        """A whole number for a place among so many: mostly inside, or just outside."""
        near = self.random.randint(-count - 1, count)
        edges = 0, count - 1, count, -count, -count - 1
        odd = np.int64(near), np.int8(near % 100), True, self.one_of(HUGE)
        return self.one_of((near, near, near, *edges, *odd))

    def amount(self) -> int:
        """A number of things, small enough to be asked for."""
        return self.one_of([-(10**6), -1, 0, 1, 2, 3, 7, np.int32(4), True])

    def real(self) -> Any:
        """A number."""
        some = [-1.0, -0.0, 0.0, 1e-320, 1e-7, 0.3, 1.0, 1, 2.0, 1e30, 1e308, np.float32(0.5)]
        return self.one_of([*some, *NO_NUMBERS, np.float64("nan")])

    def anything(self) -> Any:
        """A value of a type that nobody expects."""
        return self.one_of([*UNEXPECTED, [], [1], {}, {"a": 1}, {1}])

    def or_anything(self, value: Any, share: float = 0.2) -> Any:
        """The value, or one of a wrong type."""
        return self.anything() if self.chance(share) else value

    def token_id(self) -> Any:
        """A token ID, or nearly one."""
        return self.whole(self.info.vocab_size)

    def ids(self) -> Any:
        """Token IDs as any kind of sequence."""
        few = self.random.randrange(6)
        good = [self.random.randrange(self.info.vocab_size) for _ in range(few)]
        odd = [self.token_id() for _ in range(few)]
        whole = self.trace.token_ids
        kinds = [good, tuple(good), np.array(good, dtype=np.int32), odd, tuple(odd)]
        kinds += [whole, whole[:0], tuple(map(int, whole)), good * 2000, [*good, self.anything()]]
        return self.one_of(kinds)

    def prompt(self) -> Any:
        """What somebody may want to run."""
        return self.or_anything(self.text() if self.chance(0.5) else self.ids(), 0.15)

    def decoding(self) -> Decoding:
        """Options that were accepted."""
        while True:
            try:
                return Decoding(**self.options(odd=0.1))
            except InlookError:
                continue

    def options(self, odd: float) -> dict[str, Any]:
        """Decoding options, some of them odd."""
        usual = {
            "strategy": self.one_of(["greedy", "sample"]),
            "temperature": self.one_of([0.5, 1, 1e-6, 1e30, np.float32(2)]),
            "top_k": self.one_of([None, 1, 5, np.int64(3), self.info.vocab_size, 10**6]),
            "top_p": self.one_of([None, 0.1, 1, 1e-9]),
            "min_p": self.one_of([None, 0, 1, 0.5]),
            "repetition_penalty": self.one_of([1, 1.5, 1e-9, 1e30]),
            "seed": self.one_of([0, 5, 2**62, np.uint64(7)]),
        }
        wrong = [*self.one_of([HUGE, NO_NUMBERS]), self.anything(), self.real(), 10**400]
        return {
            name: self.one_of(wrong) if self.chance(odd) else value
            for name, value in usual.items()
            if self.chance(0.5)
        }

    def field(self, name: str) -> Any:
        """A value for a field of an intervention, by its name."""
        counts = {"layer": self.info.n_layers, "head": self.info.n_heads}
        if name == "kind":
            return self.one_of(["full", "window", "window_first", "strided", "block", "spiral"])
        if name == "layers":
            return self.one_of([None, (), (0,), [0], (self.info.n_layers,), (-1,), np.array([0])])
        if name in counts and self.chance(0.1):
            return None
        return self.whole(counts.get(name, len(self.trace)))

    def new_intervention(self) -> Any:
        """Make an intervention; it may refuse."""
        kind = self.one_of(list(intervention_kinds().values()))
        given = {
            one.name: self.or_anything(self.field(one.name), 0.1)
            for one in fields(kind)
            if one.default is MISSING or self.chance(0.6)
        }
        return kind(**given)

    def interventions(self) -> tuple[Intervention, ...]:
        """Some that could be made."""
        made: list[Intervention] = []
        for _ in range(self.one_of([0, 0, 0, 1, 1, 2])):
            try:
                made.append(self.new_intervention())
            except InlookError:
                continue
        return tuple(made)

    def of_type(self, kind: Any, name: str) -> Any:
        """A value of an annotated type, odd within it.

        Raises:
            LookupError: There is no way to make one.
        """
        options = get_args(kind) if get_origin(kind) in (typing.Union, types.UnionType) else ()
        if options:
            return self.of_type(self.one_of(options), name)
        if kind is type(None):
            return None
        if get_origin(kind) is Literal:
            return self.one_of(get_args(kind))
        made = {
            str: lambda: self._named(name),
            bool: lambda: self.chance(0.5),
            int: lambda: self._counted(name),
            float: self.real,
            tuple[int, ...]: lambda: self._several(name),
            Other: lambda: Other(self.scene.model, self.one_of(self.scene.traces)),
            tuple[tuple[int, int], ...]: lambda: tuple(
                (self.whole(len(self.trace)), self.whole(len(self.trace)))
                for _ in range(self.random.randrange(4))
            ),
            tuple[tuple[int, ...], ...]: lambda: tuple(
                tuple(self.whole(len(self.trace)) for _ in range(self.random.randrange(4)))
                for _ in range(self.random.randrange(4))
            ),
            tuple[float, ...]: lambda: tuple(self.real() for _ in range(self.random.randrange(4))),
            tuple[tuple[str, str], ...]: lambda: tuple(
                (self.one_of(["user", "system", "assistant", *NAMES]), self.one_of(RAW_TEXTS))
                for _ in range(self.random.randrange(4))
            ),
            tuple[Intervention, ...]: self.interventions,
            Decoding: self.decoding,
            Asked: lambda: Asked(
                self.chance(0.5),
                self.text(),
                self.one_of([None, True, False]),
                self.one_of(["", "[{}]", '[{"name": 1}]', *RAW_TEXTS]),
            ),
            RopeScaling: lambda: RopeScaling(
                self.one_of(SCALING_TYPES), self.one_of([1.0, 2.0, 4.5]), self.one_of([1, 8, 512])
            ),
        }
        if isinstance(kind, type) and issubclass(kind, Intervention):
            return next(iter(made_of(self, kind)))
        if get_origin(kind) is Sequence:
            return self._several(name)
        return made[kind]()

    def _named(self, name: str) -> str:
        known = {
            "by": [None, SINGLE_BYTES, "storyteller", "no such", *NAMES],
            "part": [*PARTS, "", "x"],
            "path": ["", "model.norm", "no.such", "x" * 999],
            "ticket": ["", "abc"],
        }
        return self.one_of(known[name]) if name in known else self.text()

    def _counted(self, name: str) -> Any:
        counts = {"layer": self.info.n_layers, "head": self.info.n_heads}
        counts |= dict.fromkeys(("token_id", "against", "choose"), self.info.vocab_size)
        places = ("pos", "query_pos", "key_pos", "start", "stop", "first")
        counts |= dict.fromkeys(places, len(self.trace))
        return self.whole(counts[name]) if name in counts else self.amount()

    def _several(self, name: str) -> tuple[Any, ...]:
        if name.endswith("ids"):
            return tuple(self.token_id() for _ in range(self.random.randrange(6)))
        if name == "points":
            return stream_points(self.scene.model)
        return tuple(self._counted(name[:-1]) for _ in range(self.random.randrange(4)))


def made_of(inputs: Inputs, kind: Any) -> list[Intervention]:
    """One intervention of a kind that could be made."""
    while True:
        try:
            return [kind(**{one.name: inputs.field(one.name) for one in fields(kind)})]
        except InlookError:
            continue

"""What a click costs the server, and how long visitors wait, with many of them at once.

    python -m benchmarks.load [--visitors 10 30 60] [--seconds 30] [--models all]

Simulated students speak Streamlit's own websocket protocol on 127.0.0.1: each opens a page, then
every two to three seconds writes a token, chooses a token, layer or head, edits the prompt or goes
to another page. A click's time is that from the message to the end of the script that it caused;
processor time is the server's own. Goals on two cores: 30 ms of it per click in the mean; 95 of
100 clicks within 1 s with 30 visitors and within 3 s with 60; no error.
"""

import argparse
import asyncio
import json
import random
import re
import statistics
import tempfile
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState

from model_hooks.loading import bundled_models
from tests.browser.driving import serve

PAGES = {
    "why-this-token": 4,
    "what-each-head-reads": 3,
    "": 3,
    "layer-by-layer": 2,
    "text-to-tokens": 1,
    "what-neurons-do": 1,
    "vector-to-probabilities": 1,
    "keys-and-values-kept": 1,
}
"""Addresses (the front page has none), and how much oftener than others each is gone to."""
ACTIONS = {"step": 5, "token": 3, "layer": 3, "head": 3, "page": 2, "prompt": 1}
PROMPTS = (
    "Lily and Tim went to the lighthouse. Lily and",
    "Once upon a time there was a little girl named",
    "The dog ran to the park and saw a",
    "Tom had a red ball. He liked to play with his",
    "One day, a bird",
)
THINKING_S = (2.0, 3.0)
TOO_LONG_S = 240
LAYER, HEAD = re.compile(r".*\.layer\.segmented_control\.\d+"), re.compile("attention_grid")
STRIP = re.compile("text_bar_strip")
_ID = re.compile(r"\$\$ID-[0-9a-f]+-(.*)", re.DOTALL)


class Found(NamedTuple):
    """A widget that is on the page."""

    id: str
    fragment: str
    element: Element


class Student:
    """A browser's part of one session: what is on the page, what was set, and what is kept."""

    def __init__(self, seed: int, query: str) -> None:
        self.draw = random.Random(seed)
        self.query = query
        self.waits: list[float] = []
        self.errors: list[str] = []
        self.n_bytes = 0
        self.asks: dict[str, float] = {}
        """Parts of the page that ask for news by themselves, and after how many seconds."""
        self._kept: dict[str, ForwardMsg] = {}
        self._widgets: dict[str, Found] = {}
        self._states: dict[str, WidgetState] = {}
        self._pages: dict[str, str] = {}
        self._page = self._drawn = ""
        self._n_keys = 0

    async def open(self, url: str, page: str | None = None) -> None:
        """Open the app on the page of an address, or on one drawn at random."""
        address = url.replace("http", "ws") + "/_stcore/stream"
        self._socket = await websockets.connect(
            address,
            subprotocols=[websockets.Subprotocol("streamlit")],
            max_size=None,
            compression=None,
            origin=websockets.Origin(url),
        )
        if page is None:
            (page,) = self.draw.choices([*PAGES], [*PAGES.values()])
        first = BackMsg()
        first.rerun_script.query_string = self.query
        first.rerun_script.page_name = page
        await self._ask(first)

    async def click(self) -> None:
        """Do one thing that a student does, among those that the page has."""
        does: dict[str, Callable[[], BackMsg | None]] = {
            "step": self._step,
            "token": self._choose_token,
            "layer": self._choose_layer,
            "head": self._choose_head,
            "page": self._go,
            "prompt": lambda: self._tell(STRIP, "prompt", self.draw.choice(PROMPTS)),
        }
        message = None
        while message is None:
            (name,) = self.draw.choices([*ACTIONS], [*ACTIONS.values()])
            message = does[name]()
        began = time.perf_counter()
        await self._ask(message)
        self.waits.append(time.perf_counter() - began)

    async def press(self, key: str) -> None:
        """Press a button by its key.

        Raises:
            LookupError: The page has none.
        """
        if (found := self._found(re.compile(re.escape(key)))) is None:
            raise LookupError(f"no {key} among {[*self._widgets]}")
        await self._ask(self._message(found, WidgetState(id=found.id, trigger_value=True)))

    async def look(self) -> None:
        """Ask for what a page asks for by itself from time to time."""
        for fragment in [*self.asks]:
            message = self._message(None)
            message.rerun_script.fragment_id = fragment
            message.rerun_script.is_auto_rerun = True
            await self._ask(message)

    async def close(self) -> None:
        """Leave."""
        await self._socket.close()

    @property
    def page(self) -> str:
        """The address of the page that is open."""
        return next((name for name, one in self._pages.items() if one == self._page), "")

    def _found(self, name: re.Pattern[str]) -> Found | None:
        return next((it for key, it in self._widgets.items() if name.fullmatch(key)), None)

    def _message(self, found: Found | None, *also: WidgetState) -> BackMsg:
        message = BackMsg()
        script = message.rerun_script
        script.query_string, script.page_script_hash = self.query, self._page
        if found is not None:
            script.fragment_id = found.fragment
        script.widget_states.widgets.extend([*self._states.values(), *also])
        script.cached_message_hashes.extend(self._kept)
        return message

    def _step(self) -> BackMsg | None:
        """Press Step, or its key: the browser tells how many there were, and the last ones."""
        if (found := self._found(STRIP)) is None:
            return None
        self._n_keys += 1
        state = WidgetState(id=found.id)
        state.json_value = json.dumps({"keys": {"n": self._n_keys, "log": "N"}})
        self._states[found.id] = state
        return self._message(found)

    def _tell(self, name: re.Pattern[str], event: str, value: Any) -> BackMsg | None:
        if (found := self._found(name)) is None:
            return None
        told = json.dumps([{"event": event, "value": value}])
        key = f"$$STREAMLIT_INTERNAL_KEY_{found.id}__events"
        return self._message(found, WidgetState(id=key, json_trigger_value=told))

    def _choose_token(self) -> BackMsg | None:
        if (found := self._found(STRIP)) is None:
            return None
        n_tokens = json.loads(found.element.bidi_component.json)["n_tokens"]
        return self._tell(STRIP, "picked", self.draw.randrange(max(1, n_tokens)))

    def _choose_layer(self) -> BackMsg | None:
        if (found := self._found(LAYER)) is None:
            return None
        state = WidgetState(id=found.id)
        options = [option.content for option in found.element.button_group.options]
        state.string_array_value.data.append(self.draw.choice(options))
        self._states[found.id] = state
        return self._message(found)

    def _choose_head(self) -> BackMsg | None:
        if (found := self._found(HEAD)) is None:
            return None
        sent = found.element.bidi_component.bytes
        header = json.loads(sent[4 : 4 + int.from_bytes(sent[:4], "little")])
        head = [self.draw.choice(header["layers"]), self.draw.randrange(header["n_heads"])]
        return self._tell(HEAD, "picked", head)

    async def go(self, address: str) -> None:
        """Go to the page of an address."""
        await self._ask(self._go(address))

    async def choose_token(self) -> None:
        """Choose another token of the text, if the page shows them."""
        if (message := self._choose_token()) is not None:
            await self._ask(message)

    def _go(self, address: str | None = None) -> BackMsg:
        if address is None:
            (address,) = self.draw.choices([*PAGES], [*PAGES.values()])
        self._page = self._pages[address]
        self._states = {key: it for key, it in self._states.items() if "-all." in key}
        return self._message(None)

    async def _ask(self, message: BackMsg) -> None:
        await self._socket.send(message.SerializeToString())
        async with asyncio.timeout(TOO_LONG_S):
            while True:
                told = ForwardMsg()
                received = await self._socket.recv(decode=False)
                self.n_bytes += len(received)
                told.ParseFromString(received)
                if told.WhichOneof("type") == "ref_hash":
                    metadata, told = told.metadata, self._kept[told.ref_hash]
                    told.metadata.CopyFrom(metadata)
                elif told.metadata.cacheable:
                    self._kept[told.hash] = told
                if self._took(told):
                    return

    def _took(self, told: ForwardMsg) -> bool:
        """Take over a message; say whether it was the last one."""
        kind = told.WhichOneof("type")
        if kind == "auto_rerun":
            self.asks[told.auto_rerun.fragment_id] = told.auto_rerun.interval
        elif kind == "stop_auto_rerun":
            for fragment in told.stop_auto_rerun.fragment_ids:
                self.asks.pop(fragment, None)
        elif kind == "navigation":
            places = told.navigation.app_pages
            self._pages = {place.url_pathname: place.page_script_hash for place in places}
            if told.navigation.page_script_hash != self._drawn:
                self._page = self._drawn = told.navigation.page_script_hash
                self._widgets = {}
        elif kind == "page_info_changed":
            self.query = told.page_info_changed.query_string
        elif kind == "delta" and told.delta.WhichOneof("type") == "new_element":
            self._see(told.delta.new_element, told.delta.fragment_id)
        ended = told.script_finished if kind == "script_finished" else None
        if ended == ForwardMsg.FINISHED_WITH_COMPILE_ERROR:
            self.errors.append("compile error")
        return ended is not None and ended != ForwardMsg.FINISHED_EARLY_FOR_RERUN

    def _see(self, element: Element, fragment: str) -> None:
        kind = element.WhichOneof("type")
        if kind is None:
            return
        if kind == "exception":
            self.errors.append(element.exception.message)
        found = _ID.fullmatch(getattr(getattr(element, kind), "id", "") or "")
        if found:
            self._widgets[found.group(1)] = Found(found.group(0), fragment, element)


def used(server: psutil.Process) -> float:
    """Return the processor seconds of a server and of what it started."""
    times = [one.cpu_times() for one in (server, *server.children(recursive=True))]
    return sum(time.user + time.system for time in times)


async def visit(url: str, server: psutil.Process, queries: list[str], seconds: float) -> list[str]:
    """Let one student per query work so long; return a row of the table.

    Raises:
        RuntimeError: A page showed an exception.
    """
    students = [Student(seed, query) for seed, query in enumerate(queries)]
    for student in students:
        await student.open(url)
    began, before = time.perf_counter(), used(server)

    async def work(student: Student) -> None:
        await asyncio.sleep(student.draw.uniform(0, THINKING_S[1]))
        while time.perf_counter() - began < seconds:
            await student.click()
            await asyncio.sleep(student.draw.uniform(*THINKING_S))

    await asyncio.gather(*map(work, students))
    spent = used(server) - before
    for student in students:
        await student.close()
    if errors := [error for student in students for error in student.errors]:
        raise RuntimeError(f"{len(errors)} errors, such as {errors[0]}")
    waits = sorted(wait for student in students for wait in student.waits)
    times = [statistics.median(waits), waits[int(0.95 * len(waits))], waits[-1]]
    numbers = [f"{1000 * wait:.0f}" for wait in times] + [f"{1000 * spent / len(waits):.0f}"]
    memory = f"{server.memory_info().rss / 2**20:.0f}"
    return [str(len(students)), str(len(waits)), *numbers, memory]


def queries_for(n_visitors: int, models: list[str]) -> list[str]:
    """Return the query string with which each visitor comes."""
    names = [models[i % len(models)] for i in range(n_visitors)]
    default = next(iter(bundled_models()))
    return ["" if it == default else urllib.parse.urlencode({"model": it}) for it in names]


def main() -> None:
    """Let classes of several sizes come, one after the other, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, nargs="+", default=[10, 30, 60])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--models", default=next(iter(bundled_models())), help="names, or all")
    args = parser.parse_args()
    models = list(bundled_models()) if args.models == "all" else args.models.split(",")
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder) / "server.txt") as url:
        (server,) = psutil.Process().children()
        asyncio.run(visit(url, server, queries_for(max(2, len(models)), models), 8))  # warms up
        print("| visitors | clicks | median ms | 95 % ms | slowest ms | processor ms | MB |")
        print("|---|---|---|---|---|---|---|")
        for n_visitors in args.visitors:
            row = asyncio.run(visit(url, server, queries_for(n_visitors, models), args.seconds))
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()

"""How does a process that holds models answer over HTTP, and who is next?

    desk = Desk(host, token)
    response = await desk.answer(request)     # of starlette: Ray Serve and uvicorn know it

Questions queue here, so that each can be told how many are before it. One that is left ends: what
runs comes to its next value, and no further.
"""

import asyncio
import hmac
import logging
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from model_hooks.cluster.asking import MOST_ASKED, Said, answers_to, frame, question_in
from model_hooks.cluster.places import VERSION
from model_hooks.cluster.versions import spoken
from model_hooks.cluster.wire import WireError
from model_hooks.host import Answers, Question

LOOK_S = 0.25
"""After which a question that waits is told how many are before it."""
ALIVE_S = 2.0
"""After which one that is worked on is told that it is."""


class Queue:
    """A number of turns at the same time, in the order in which they were asked for."""

    def __init__(self, n: int) -> None:
        self._n = self._free = n
        self._waiting: deque[asyncio.Future[None]] = deque()

    def join(self) -> asyncio.Future[None]:
        """Return a place, which is done when it is its turn; it has to be given to `leave`."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._call()
        return place

    def leave(self, place: asyncio.Future[None]) -> None:
        """Give a place, and its turn if it had it, to the next one."""
        if place in self._waiting:
            self._waiting.remove(place)
        else:
            self._free += 1
        self._call()

    def before(self, place: asyncio.Future[None]) -> int:
        """Return how many come before a place that waits."""
        return self._waiting.index(place) if place in self._waiting else 0

    @property
    def n_waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def n_running(self) -> int:
        """How many have their turn."""
        return self._n - self._free

    def _call(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)


class Desk:
    """Answers requests with a host.

    Args:
        host: Who answers questions.
        token: What every request has to show.
        n_at_once: How many questions are worked on at the same time.
        on_answer: Called after each question, with the seconds that it was worked on.

    Raises:
        ValueError: There is no token: anybody could ask.
    """

    def __init__(
        self,
        host: Answers,
        token: str,
        n_at_once: int = 1,
        on_answer: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        if not token:
            raise ValueError("a desk needs a token")
        self._host, self._token, self._on_answer = host, token, on_answer
        self.queue = Queue(n_at_once)
        self.n_answered = 0
        self._idle: list[ThreadPoolExecutor] = []

    async def answer(self, request: Request) -> Response:
        """Return the answer to a request: the frames of a question, or how the replica is."""
        shown = request.headers.get("authorization", "").encode("latin-1", "replace")
        if not hmac.compare_digest(shown, f"Bearer {self._token}".encode()):
            return PlainTextResponse("The token is missing or wrong.", 401)
        own = {VERSION: spoken()}
        if request.method == "GET":
            return JSONResponse(self.status(), headers=own)
        if request.headers.get(VERSION) != spoken():
            return PlainTextResponse("The versions differ.", 409, own)
        if int(request.headers.get("content-length") or 0) > MOST_ASKED:
            return PlainTextResponse("The question is too long.", 413, own)
        try:
            question = question_in(await request.body())
        except WireError as error:
            return PlainTextResponse(f"That is no question: {error}", 400, own)
        return StreamingResponse(_framed(self.frames(question)), headers=own)

    def status(self) -> dict[str, Any]:
        """Return what there is to do here."""
        return {
            "version": spoken(),
            "process": os.getpid(),
            "answered": self.n_answered,
            "running": self.queue.n_running,
            "waiting": self.queue.n_waiting,
        }

    async def frames(self, question: Question) -> AsyncIterator[bytes]:
        """Yield the frames of an answer; each value of a stream has a turn of its own."""
        # All values of an answer are made in one thread: what it sets up there stays there.
        worker = self._idle.pop() if self._idle else ThreadPoolExecutor(1, "inlook-answers")
        frames, loop = answers_to(self._host, question), asyncio.get_running_loop()
        seconds = 0.0
        try:
            while True:
                place = self.queue.join()
                try:
                    while not (await asyncio.wait([place], timeout=LOOK_S))[0]:
                        yield frame(Said.WAITS, self.queue.before(place))
                    began = time.monotonic()
                    job = loop.run_in_executor(worker, _next, frames)
                    while not (await asyncio.wait([job], timeout=ALIVE_S))[0]:
                        yield frame(Said.ALIVE)
                finally:
                    # The worker does one thing after the other: first it ends what it is at.
                    worker.submit(loop.call_soon_threadsafe, self.queue.leave, place)
                data, seconds = job.result(), seconds + time.monotonic() - began
                if data is None:
                    return
                yield data
        finally:
            self.n_answered += 1
            self._on_answer(seconds)
            worker.submit(_close, frames)
            self._idle.append(worker)


def _next(frames: Iterator[bytes]) -> bytes | None:
    try:
        return next(frames, None)
    except Exception:
        logging.getLogger("inlook").exception("A question that failed")
        return frame(Said.FAILED)


def _close(frames: Any) -> None:
    frames.close()


async def _framed(frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Put before each frame how long it is."""
    try:
        async for data in frames:
            yield len(data).to_bytes(4, "big") + data
    finally:
        await frames.aclose()  # type: ignore[attr-defined]

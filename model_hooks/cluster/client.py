"""How does a process without models ask a cluster that has them, and what if nobody answers?

    far = Client("http://models:8000", token)
    far.answer(question)

A question depends on nothing but its own bytes, so one that broke off is asked again, of whichever
replica is there; of a stream, what came already is not handed on twice.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import urllib3
from urllib3.exceptions import (
    HTTPError,
    NewConnectionError,
)

from model_hooks.cluster.asking import LAST, PASSING, OnWait, Said, answer_in
from model_hooks.cluster.places import SESSION, VERSION, path_of
from model_hooks.cluster.versions import spoken, why_not
from model_hooks.cluster.wire import pack
from model_hooks.errors import (
    AwayError,
    HostFailedError,
    InlookError,
    ModelNotFoundError,
    PromptError,
    TooBusyError,
    TooSlowError,
    UnreachableError,
    VersionsError,
    WrongTokenError,
)
from model_hooks.host import Question

CONNECT_S, SILENT_S = 3.0, 10.0
"""How long a connection may take, and the silence of a replica, which says every two seconds that
it is alive."""
ANSWER_S = 60.0
"""How long one value may be worked on."""
GONE_S = 1.5
"""For so long it is tried again to reach an address where nobody is."""
BROKEN_S = 45.0
"""For so long a question that breaks off is asked again: a new replica loads its model."""
FAIL_FAST_S = 3.0
"""After a failure, so long nobody is made to wait for the next one."""
MOST_FRAME = 2**30
NOBODY = (
    "The machine that runs the models cannot be reached. Your text is kept, and the page goes on "
    "as soon as it is back."
)
SLOW = (
    "The machine that runs the models did not answer within {seconds:g} seconds. Your text is "
    "kept: try again, or choose a smaller model."
)
BUSY = (
    "So many people ask the models at once that no more can wait. Your text is kept: try again in "
    "a moment."
)
TOKEN = (
    "The machine that runs the models does not know this server: whoever runs it has to give both "
    "the same INLOOK_MODELS_TOKEN."
)
NO_MODEL = (
    "The machine that runs the models does not offer {name}: choose another model in the sidebar."
)


class _BrokeOffError(Exception):
    """An answer that did not come to its end; asking again may help."""


class Client:
    """Asks a cluster over HTTP.

    Safe to use from many threads.

    Args:
        address: Such as `http://models:8000`.
        token: What the cluster wants to be shown.
        seconds: How long one value may be worked on.
    """

    def __init__(self, address: str, token: str, seconds: float = ANSWER_S) -> None:
        self._address, self._token, self._seconds = address.rstrip("/"), token, seconds
        self._pool = urllib3.PoolManager(maxsize=64, retries=False)
        self._failed: tuple[float, AwayError] | None = None

    def answer(
        self, question: Question, session: str = "", on_wait: OnWait = lambda n_before: None
    ) -> Any:
        """Return a plain value, or an iterator over them.

        Args:
            question: What is asked.
            session: Who asks: the same replica answers, which kept what the last answer needed.
            on_wait: Is told while the question waits.

        Raises:
            AwayError: The cluster gives no answer.
            InlookError: There is no answer; the message says why.
        """
        self._fail_fast()
        return answer_in(self._frames(question, session), on_wait)

    def _fail_fast(self) -> None:
        if self._failed is not None and time.monotonic() - self._failed[0] < FAIL_FAST_S:
            raise type(self._failed[1])(str(self._failed[1]))

    def _frames(self, question: Question, session: str) -> Iterator[bytes]:
        """Yield the frames of an answer, each once, however often it breaks off."""
        body, n_had = pack(question), 0
        give_up = time.monotonic() + BROKEN_S
        for pause in _pauses():
            n_seen = 0
            try:
                for data in self._once(question.run.model_name, body, session):
                    if data[:1] in _PASSING:
                        yield data
                        continue
                    n_seen += 1
                    if n_seen > n_had:
                        n_had, give_up = n_seen, time.monotonic() + BROKEN_S
                        yield data
                return
            except (UnreachableError, TooBusyError, _BrokeOffError) as error:
                patience = GONE_S if isinstance(error, UnreachableError) else BROKEN_S
                if time.monotonic() > give_up - BROKEN_S + patience:
                    raise self._given_up(error) from error
                yield _WAITS  # whoever asked may leave meanwhile
                time.sleep(pause)
            except AwayError as error:
                raise self._given_up(error) from error

    def _given_up(self, error: Exception) -> AwayError:
        said = error if isinstance(error, AwayError) else UnreachableError(NOBODY)
        self._failed = time.monotonic(), said
        return said

    def _once(self, model_name: str, body: bytes, session: str) -> Iterator[bytes]:
        """Yield the frames of one request."""
        response = self._request(model_name, body, session)
        is_whole = False
        try:
            self._check(response, model_name)
            self._failed, value_from = None, time.monotonic()
            while not is_whole:
                data = self._frame(response)
                if data[0] != Said.ALIVE:
                    value_from = time.monotonic()
                elif time.monotonic() - value_from > self._seconds:
                    raise TooSlowError(SLOW.format(seconds=self._seconds))
                is_whole = data[0] in LAST
                if is_whole:
                    response.read()  # its end, so that the connection can be used again
                yield data
        finally:
            if is_whole:
                response.release_conn()
            else:
                response.close()  # which ends the work over there

    def _request(self, model_name: str, body: bytes, session: str) -> Any:
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/vnd.msgpack",
            VERSION: spoken(),
            SESSION: session,
        }
        try:
            return self._pool.request(
                "POST",
                self._address + path_of(model_name),
                body=body,
                headers=headers,
                preload_content=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=CONNECT_S, read=SILENT_S),
            )
        except NewConnectionError as error:
            raise UnreachableError(NOBODY) from error
        except HTTPError as error:
            gone = UnreachableError if "Connect" in type(error).__name__ else _BrokeOffError
            raise gone(NOBODY) from error

    def _check(self, response: Any, model_name: str) -> None:
        status = response.status
        if status == 200:
            return
        there = response.headers.get(VERSION, "")
        said = response.read(2**16).decode("utf-8", "replace")
        known: dict[int, Callable[[], InlookError]] = {
            400: lambda: HostFailedError(f"The machine that runs the models refuses this: {said}"),
            401: lambda: WrongTokenError(TOKEN),
            404: lambda: ModelNotFoundError(NO_MODEL.format(name=model_name)),
            409: lambda: VersionsError(why_not(spoken(), there) or said),
            413: lambda: PromptError("This text is too long for the machine that runs the models."),
            429: lambda: TooBusyError(BUSY),
        }
        if status in known:
            raise known[status]()
        raise _BrokeOffError(f"status {status}: {said[:200]}")

    def _frame(self, response: Any) -> bytes:
        try:
            length = int.from_bytes(_exactly(response, 4), "big")
            if not 0 < length <= MOST_FRAME:
                raise HostFailedError("The machine that runs the models answered too much.")
            return _exactly(response, length)
        except (HTTPError, OSError) as error:
            raise _BrokeOffError(str(error)) from error


_PASSING = tuple(bytes([said]) for said in PASSING)
_WAITS = bytes([Said.ALIVE]) + pack(None)


def _pauses() -> Iterator[float]:
    pause = 0.05
    while True:
        yield pause
        pause = min(1.0, 1.6 * pause)


def _exactly(response: Any, n: int) -> bytes:
    parts = b""
    while len(parts) < n:
        part = response.read(n - len(parts))
        if not part:
            raise _BrokeOffError("it ended before its end")
        parts += part
    return parts

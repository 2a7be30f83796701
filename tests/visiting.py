"""A visitor without a browser, who speaks Streamlit's own websocket protocol."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode, urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

ANSWER_S = 90


def joined(url: str, headers: Mapping[str, str] | None = None) -> ClientConnection:
    """Connect to a server, such as `http://127.0.0.1:8501`."""
    address = f"ws://{urlsplit(url).netloc}/_stcore/stream"
    return connect(address, proxy=None, max_size=None, additional_headers=headers)


@contextmanager
def ask(
    url: str, view: Mapping[str, str], headers: Mapping[str, str] | None = None, page: str = ""
) -> Iterator[ClientConnection]:
    """Ask for a page, by its address, with a view without waiting for it; leave in the end."""
    message = BackMsg()
    message.rerun_script.page_name = page
    message.rerun_script.query_string = urlencode(view)
    with joined(url, headers) as line:
        line.send(message.SerializeToString())
        yield line


def answers(
    url: str,
    view: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    until: str = "script_finished",
    page: str = "",
) -> Iterator[ForwardMsg]:
    """Ask for a page with a view; yield what comes before a kind of message, and leave."""
    with ask(url, view, headers, page) as line:
        while True:
            told = ForwardMsg()
            told.ParseFromString(line.recv(ANSWER_S, decode=False))
            if told.WhichOneof("type") == until:
                return
            yield told

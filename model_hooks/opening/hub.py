"""What does the Hugging Face Hub say about a repository, and how long is it waited for?

Where there is no internet a request may hang for minutes, in the name service too, which no timeout
of a library ends. So it is asked in a thread of its own, and who cannot be reached is left in peace
for a while.
"""

import threading
import time
from concurrent.futures import Future

from huggingface_hub import HfApi, ModelInfo
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

MOST_SECONDS = 9.0
REMEMBERED_S = 60.0
"""How long it is known that the Hub cannot be reached."""

_silent_until = 0.0


def model_info(name: str, *, files: bool) -> ModelInfo:
    """Return what the Hub says about a repository.

    Args:
        name: Its id.
        files: Whether the sizes of its files are wanted.

    Raises:
        ConnectionError: The Hub does not answer in time, or did not a moment ago.
        Exception: Whatever else huggingface_hub says.
    """
    global _silent_until
    if time.monotonic() < _silent_until:
        raise ConnectionError("the Hub could not be reached a moment ago")
    answer: Future[ModelInfo] = Future()
    thread = threading.Thread(target=_ask, args=(name, files, answer), daemon=True)
    thread.start()
    try:
        return answer.result(MOST_SECONDS)
    except (HfHubHTTPError, OfflineModeIsEnabled):  # an answer, or not even asked
        raise
    except (OSError, RuntimeError, TimeoutError) as error:
        _silent_until = time.monotonic() + REMEMBERED_S
        raise ConnectionError("the Hub cannot be reached") from error


def ask_again() -> None:
    """Forget that the Hub could not be reached."""
    global _silent_until
    _silent_until = 0.0


def _ask(name: str, files: bool, answer: Future) -> None:
    try:
        answer.set_result(HfApi().model_info(name, files_metadata=files, timeout=MOST_SECONDS))
    except BaseException as error:
        answer.set_exception(error)

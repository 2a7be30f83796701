"""When is garbage collected? From time to time, and not after every click.

Streamlit would collect all garbage after each run of the script (`runner.postScriptGC` in
`.streamlit/config.toml` tells it not to): 50 to 100 ms with the sessions of a class, twice what the
click itself takes. Python frees what is young by itself; here the old is looked through, too.
"""

import gc
import threading
import time
from collections.abc import Callable

PAUSE_S = 20.0


def collect_now_and_then(
    pause: Callable[[float], object] = time.sleep, pause_s: float = PAUSE_S
) -> threading.Thread:
    """Collect garbage after each pause, in a thread of its own, as long as the server lives.

    Args:
        pause: Waits; an exception ends the thread.
        pause_s: Seconds between two collections.
    """

    def collect() -> None:
        while True:
            pause(pause_s)
            gc.collect()

    thread = threading.Thread(target=collect, name="garbage", daemon=True)
    thread.start()
    return thread

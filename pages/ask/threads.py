"""How many threads does one forward pass take?"""

import logging
import os

MOST_THREADS = max(64, os.cpu_count() or 1)
SETTING = "INLOOK_THREADS"
"""The environment variable that says it."""


def threads_setting() -> int:
    """Return what the setting says; 1, and a sentence in the log, where it says nonsense.

    More than one is slower as soon as another program is busy.
    """
    said = os.environ.get(SETTING, "").strip()
    if said.isdecimal() and 1 <= int(said[:9]) <= MOST_THREADS:
        return int(said)
    if SETTING in os.environ:
        logging.getLogger("inlook").warning(
            "%s=%r is no number from 1 to %d: one thread is used.", SETTING, said, MOST_THREADS
        )
    return 1


N_THREADS = threads_setting()

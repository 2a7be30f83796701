"""Where are the models that this server asks: in this process, or on a cluster?

`INLOOK_MODELS` says it (`pages/server/settings.py`); nobody who asks notices.
"""

import os

from model_hooks.cluster.asking import Loopback
from model_hooks.cluster.client import Client
from model_hooks.cluster.places import LOOPBACK, TOKEN
from model_hooks.host import Answers, Host
from pages.ask.far import Far
from pages.ask.threads import N_THREADS
from pages.server.counters import gauge
from pages.server.settings import settings


def answering() -> Answers:
    """Return who answers questions, as the settings say."""
    address = settings().models_at
    if address not in ("", LOOPBACK):
        return Far(Client(address, os.environ.get(TOKEN, "")))
    from pages.ask.opening import open_frozen

    own = Host(open_frozen, n_threads=N_THREADS)
    gauge("inlook_models_bytes", "Memory of models.", lambda: own.sizes().models)
    gauge("inlook_written_bytes", "Memory of runs to write on from.", lambda: own.sizes().written)
    gauge("inlook_traces_bytes", "Memory of traces.", lambda: own.sizes().traces)
    return own if address == "" else Loopback(own)

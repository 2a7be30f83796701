"""How is a model built by one thread at a time?

While transformers builds or loads a model it changes what the whole process shares: the default
dtype, torch's functions that draw weights, whether embeddings are tied. Two threads at once would
see, and put back, each other's changes.
"""

import threading

building = threading.RLock()
"""Held by whoever builds, loads or wraps a model: `with building: ...`."""

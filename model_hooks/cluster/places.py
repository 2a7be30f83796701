"""Under which path of the cluster does a model answer, and what do both sides call things?"""

import hashlib
import re

ADDRESS, TOKEN = "INLOOK_MODELS", "INLOOK_MODELS_TOKEN"
"""Environment variables: where the models are, and what is shown there as a password."""
LOOPBACK = "loopback"
"""The address that is in this process, for tests."""
ROOT = "/inlook"
"""Where models answer that have no place of their own."""
VERSION, SESSION = "x-inlook-version", "x-session-id"
"""Headers: what the side that sends it speaks, and what keeps a session's questions together."""


def path_of(model_name: str) -> str:
    """Return the path of the replicas that hold a model."""
    plain = re.sub(r"[^a-z0-9]+", "-", model_name.lower()).strip("-")[:40]
    if plain != model_name:
        plain += f"-{hashlib.sha256(model_name.encode('utf-8', 'replace')).hexdigest()[:8]}"
    return f"{ROOT}/{plain}"

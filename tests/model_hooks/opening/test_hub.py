"""A Hub that does not answer is waited for once, and not for long."""

import os
import socket
import subprocess
import sys
import time

import pytest

CODE = """
import time
from model_hooks import ModelNotFoundError, load_model, load_tokenizer
from model_hooks.opening import hub
hub.MOST_SECONDS = 1.0
for load in (load_model, load_tokenizer):
    begun = time.monotonic()
    try:
        load("org/model")
    except ModelNotFoundError as error:
        print(f"{time.monotonic() - begun:.2f}", str(error))
"""


@pytest.fixture
def silent():
    """Return the address of a server that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.slow
def test_a_hub_that_does_not_answer_is_given_up_and_not_asked_again_at_once(silent):
    environment = {**os.environ, "HF_ENDPOINT": silent, "HF_HUB_OFFLINE": "0", "PYTHONPATH": "."}
    begun = time.monotonic()
    said = subprocess.check_output([sys.executable, "-c", CODE], env=environment, text=True)
    assert time.monotonic() - begun < 60
    lines = said.splitlines()
    assert len(lines) == 2, said
    assert all("cannot be reached" in line for line in lines)
    first, second = (float(line.split()[0]) for line in lines)
    assert 1 <= first < 5
    assert second < 0.5

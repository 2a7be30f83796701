"""A real Ray cluster of two nodes holds a model, and loses a replica."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OWN_NETWORK = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
"""Where Ray's ports are nobody's but its own, and all that it starts ends with it."""
PYTHON = os.environ.get("INLOOK_RAY_PYTHON", sys.executable)
"""An interpreter that has Ray. It brings libraries that change how the app is served."""
HAS_RAY = "INLOOK_RAY_PYTHON" in os.environ or importlib.util.find_spec("ray") is not None


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="needs requirements-ray.txt")
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a network of its own")
def test_a_cluster_answers_as_this_process_does_and_outlives_a_replica():
    line = [*OWN_NETWORK, PYTHON, "-m", "tests.model_hooks.cluster.two_nodes"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=240)
    if "Operation not permitted" in done.stderr and done.stderr.startswith("unshare"):
        pytest.skip("may not have a network of its own")
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["length"] == 3
    assert found["same_texts"], "a replica that is killed costs time alone"
    assert found["idle_after_stop_s"] < 1
    assert found["wrong_token"] == "WrongTokenError"
    assert found["unknown_model"] == "ModelNotFoundError"
    assert found["removed"] == ["inlook-storyteller"]

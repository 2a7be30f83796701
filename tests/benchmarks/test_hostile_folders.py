"""No folder that is made to do harm does any."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import hostile_folders

ROOT = Path(__file__).parents[2]


def run(*names: str) -> subprocess.CompletedProcess[str]:
    """Run the script in a process of its own, which has one thread and so may be copied."""
    command = [sys.executable, "-m", "benchmarks.hostile_folders", *names]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_each_folder_ends_in_a_sentence():
    ended = run()
    assert ended.returncode == 0, ended.stdout
    assert f"{len(hostile_folders.CASES)} folders, 0 faults" in ended.stdout


@pytest.mark.parametrize("harm", ["raw error", "memory", "time"])
def test_harm_is_noticed(harm, tmp_path, monkeypatch):
    def use(name: str) -> list[str]:
        if harm == "raw error":
            raise KeyError(name)
        held = [b"x" * 10**7 for _ in range(30 if harm == "memory" else 0)]
        while harm == "time":
            pass
        return [str(len(held))]

    monkeypatch.setattr(hostile_folders, "_use", use)
    monkeypatch.setattr(hostile_folders, "MOST_BYTES", 10**8)
    monkeypatch.setattr(hostile_folders, "SECONDS", 1)
    said, well = hostile_folders.tried("a length below nothing", tmp_path)
    assert not well, said

"""Does every folder that is made to do harm end in one sentence, within seconds and bounded memory?

    python -m benchmarks.hostile_folders [name ...]

Each case changes a copy of a bundled model. A process of its own opens it, and does with it what
the pages do: cut texts, write a conversation, run a few tokens. It may open, or say one sentence; a
raw error, no answer in time, too much memory or a crash is a fault. Prints a line for each; exits 1
if there is any.
"""

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import psutil

from benchmarks.hostile_folder_cases import CASES
from model_hooks import InlookError, TokenizerView, bundled_models, load_model, load_tokenizer

MODEL = "twin-mqa"
SECONDS = 30
MOST_BYTES = 2 * 10**9
"""Beyond what its process held when it began."""
CEILING_BYTES = 10 * 10**9
TEXTS = ("Once upon a time", "a" * 2000, " " * 2000, "é👩‍👧\n\t <|endoftext|>", "aAbB0!" * 300)


def tried(name: str, home: Path) -> tuple[str, bool]:
    """Try one case; return what came of it, and whether that is as it should be."""
    folder = Path(shutil.copytree(bundled_models()[MODEL], home / "model"))
    CASES[name](folder)
    reader, writer = os.pipe()
    began = time.monotonic()
    if (pid := os.fork()) == 0:
        _use_and_end(folder, writer)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as told:
        before, _, said = told.read().replace(str(folder), "FOLDER").partition("\n")
    _, status, used = os.wait4(pid, 0)
    grown = 1024 * used.ru_maxrss - int(before or 0)
    took = f"{time.monotonic() - began:.1f} s, {max(0, grown) / 1e6:.0f} MB"
    if os.WIFSIGNALED(status):
        late = os.WTERMSIG(status) == signal.SIGALRM
        return f"{'no answer' if late else f'signal {os.WTERMSIG(status)}'} ({took})", False
    return f"{said} ({took})", status == 0 and grown < MOST_BYTES


def _use_and_end(folder: Path, writer: int) -> None:
    """Do what pages do with a folder, write what came of it, and end this process."""
    resource.setrlimit(resource.RLIMIT_AS, (CEILING_BYTES, CEILING_BYTES))
    signal.alarm(SECONDS)
    # Not what the other process holds: a copy maps only some of its pages.
    os.write(writer, f"{psutil.Process().memory_info().rss}\n".encode())
    try:
        said, code = "; ".join(_use(str(folder))), 0
    except BaseException as error:
        said, code = f"{type(error).__name__}: {str(error)[:200]}", 1
    os.write(writer, said.encode(errors="replace")[:4000])
    os._exit(code)


def _use(name: str) -> list[str]:
    """Open a folder as a tokenizer and as a model, and use both; return the sentences said."""
    warnings.simplefilter("ignore")
    said = []

    def attempt(do):
        try:
            return do()
        except InlookError as error:
            if "\n" in str(error).strip():
                raise ValueError(f"more than one line: {error}") from error
            said.append(str(error))

    if (tokenizer := attempt(lambda: load_tokenizer(name))) is not None:
        view = TokenizerView(tokenizer)
        for text in TEXTS:
            attempt(lambda text=text: view.tokenize(text, limit=100))
        if view.chat_template:
            attempt(lambda: view.chat_text("hello"))
    if (model := attempt(lambda: load_model(name))) is not None:
        attempt(lambda: model.trace(model.encode("Once upon a time")))
        attempt(lambda: list(model.generate(model.encode("Once upon a"), max_new_tokens=3)))
    return list(dict.fromkeys(said)) or ["opens"]


def main() -> None:
    """Try the cases and print a line for each."""
    parser = argparse.ArgumentParser(description="Open folders that are made to do harm.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(CASES)}")
    names = parser.parse_args().names or [*CASES]
    faults = 0
    for name in names:
        with tempfile.TemporaryDirectory() as home:
            said, well = tried(name, Path(home))
        faults += not well
        print(f"{name}: {'' if well else 'FAULT: '}{said}", flush=True)
    print(f"{len(names)} folders, {faults} faults")
    sys.exit(faults > 0)


if __name__ == "__main__":
    main()

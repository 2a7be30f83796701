"""Does a tokenizer come to an end on some texts, found out in a process of its own (`trial.py`)?

Reads one JSON object per line, {"path", "texts"}, cuts the texts and puts them together again, and
answers each with {}, whatever the tokenizer says of them: what counts is that there is an answer.
Imports neither torch nor transformers, so that it begins at once.
"""

import json
import re
import sys
from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer

MOST_DECODED = 2000


def attempt(path: str, texts: Iterable[str]) -> None:
    """Open a tokenizer.json and do with it what may never end."""
    tokenizer = Tokenizer.from_file(path)
    for text in (*texts, *of_patterns(path)):
        ids = without_errors(lambda text=text: tokenizer.encode(text).ids) or []
        without_errors(lambda ids=ids: tokenizer.decode(ids[:MOST_DECODED]))
    some = range(min(MOST_DECODED, tokenizer.get_vocab_size()))
    without_errors(lambda: tokenizer.decode([*some]))


def of_patterns(path: str) -> list[str]:
    """Return a long run of each letter that an expression of the tokenizer names."""
    with open(path, encoding="utf-8") as file:
        said = json.load(file)
    said.pop("model", None)
    patterns = re.findall(r'"(?:Regex|String)": *"((?:\\.|[^"\\])*)"', json.dumps(said))
    letters = sorted(set("".join(patterns)))[:64]
    return [letter * 3000 + "\x01" for letter in letters]


def without_errors(do: Any) -> Any:
    """Return what a function returns, None if it fails in whatever way."""
    try:
        return do()
    except BaseException:
        return None


def main() -> None:
    """Answer line by line."""
    for line in sys.stdin:
        if line.strip():
            asked = json.loads(line)
            without_errors(lambda asked=asked: attempt(asked["path"], asked["texts"]))
        print("{}", flush=True)


if __name__ == "__main__":
    main()

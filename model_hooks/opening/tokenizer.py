"""How is a model's own tokenizer opened, and if it has none, why?"""

import re
import reprlib
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import SentencePieceExtractor

from model_hooks.errors import BrokenModelError, ModelError
from model_hooks.opening.files import read_json
from model_hooks.opening.reasons import (
    explain,
    missing_package,
    needs_code,
    panics_are_errors,
    reason,
)
from model_hooks.opening.trial import check_file, check_made

WHOLE = ("tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
"""Files that hold a whole vocabulary with its rules."""
_TIKTOKEN_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+\s*$")
MOST_UNMADE = 0.2
"""Share of a vocabulary's long tokens that no merge needs to make: special ones."""
VOCABULARIES = (*WHOLE, "tekken.json", "vocab.json", "vocab.txt", "*.model", "*.tiktoken")


def open_tokenizer(name: str, folder: Path) -> PreTrainedTokenizerBase:
    """Open the tokenizer in a folder.

    Raises:
        BrokenModelError: There is none, it cannot be read, or does not come to an end; the message
            says why.
    """
    whole = (folder / "tokenizer.json").is_file()
    if whole:
        check_file(name, folder / "tokenizer.json")
    try:
        with panics_are_errors():
            tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:
        raise _why_not(name, folder, error) from error
    _check_own(name, folder, tokenizer)
    _check_settings(name, tokenizer)
    if not whole:
        check_made(name, tokenizer)
    return tokenizer


def gguf_tokenizer(name: str, path: Path) -> PreTrainedTokenizerBase:
    """Open the tokenizer that a GGUF file describes.

    Raises:
        BrokenModelError: transformers cannot make one of it; the message says why.
    """
    try:
        with panics_are_errors():
            return AutoTokenizer.from_pretrained(
                str(path.parent), gguf_file=path.name, trust_remote_code=False
            )
    except Exception as error:
        raise BrokenModelError(
            f"transformers cannot open the tokenizer of {name}: {reason(error, path.parent)}."
        ) from error


def check_fits(name: str, tokenizer: PreTrainedTokenizerBase, n_rows: int) -> None:
    """Refuse a tokenizer that is of another model than the embedding.

    Tokens that were added to its vocabulary do not count: models often lack rows for them.

    Raises:
        BrokenModelError: Its vocabulary is larger than the embedding.
    """
    added = tokenizer.added_tokens_decoder
    own = [i for i in tokenizer.get_vocab().values() if i not in added]
    if own and max(own) >= n_rows:
        raise BrokenModelError(
            f"The tokenizer of {name} is of another model: it has tokens up to ID {max(own)}, but "
            f"the embedding has {n_rows} rows."
        )


def _why_not(name: str, folder: Path, error: Exception) -> ModelError:
    if "trust_remote_code" in str(error) or _brings_code(name, folder):
        return needs_code(name)
    for file in ("vocab.json", "tekken.json"):
        if (folder / file).is_file():
            read_json(name, folder / file)
    if (folder / "tokenizer.json").is_file():
        return _why_not_tokenizer_json(name, folder, error)
    if not _vocabulary_files(folder):
        return _none(name)
    if (folder / "vocab.json").is_file() and not (folder / "merges.txt").is_file():
        return _lacks(name, folder, "merges.txt")
    if "backend tokenizer" in str(error):  # its class reads nothing else
        return _lacks(name, folder, "tokenizer.json")
    for path in folder.glob("*.model"):
        error = _why_not_sentencepiece(path) or error
    if missing_package(error):
        return explain(name, folder, error)
    return BrokenModelError(
        f"transformers cannot open the tokenizer of {name} "
        f"({', '.join(_vocabulary_files(folder))}): {reason(error, folder)}."
    )


def _why_not_tokenizer_json(name: str, folder: Path, error: Exception) -> ModelError:
    try:
        with panics_are_errors():
            Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as damage:
        return BrokenModelError(
            f"The tokenizer.json of {name} cannot be read: {reason(damage, folder)}."
        )
    if missing_package(error):
        return explain(name, folder, error)
    return BrokenModelError(
        f"transformers cannot open the tokenizer of {name}: {reason(error, folder)}."
    )


def _why_not_sentencepiece(path: Path) -> Exception | None:
    """Return why a file is not read as SentencePiece's; None if it is, or is tiktoken's.

    transformers tries this first, keeps the reason to itself and asks for tiktoken instead.
    """
    with path.open("rb") as file:
        if _TIKTOKEN_LINE.match(file.readline(2000)):
            return None
    try:
        SentencePieceExtractor(str(path))
    except Exception as error:
        return error
    return None


def _brings_code(name: str, folder: Path) -> bool:
    """Tell whether a folder without a vocabulary names a tokenizer class of its own."""
    path = folder / "tokenizer_config.json"
    settings: dict[str, Any] = read_json(name, path) if path.is_file() else {}
    return "auto_map" in settings and not (folder / "tokenizer.json").is_file()


def _vocabulary_files(folder: Path) -> list[str]:
    return sorted({path.name for pattern in VOCABULARIES for path in folder.glob(pattern)})


def _none(name: str) -> BrokenModelError:
    return BrokenModelError(
        f"{name} has no tokenizer: there is no tokenizer.json in it, nor another vocabulary "
        "(tokenizer.model, vocab.json, vocab.txt)."
    )


def _check_own(name: str, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse what transformers makes up for a missing file.

    Classes that need no file at all, such as ByT5's, name none.
    """
    files = dict(getattr(tokenizer, "vocab_files_names", {}) or {})
    named = [file for file in files.values() if isinstance(file, str)]
    if not named:
        return
    found = {*_vocabulary_files(folder), *(file for file in named if (folder / file).is_file())}
    if not found or len(tokenizer) <= len(tokenizer.added_tokens_decoder):
        raise _none(name)
    if not found.isdisjoint(WHOLE):
        return
    for part in ("vocab_file", "merges_file"):
        file = files.get(part)
        if isinstance(file, str) and "merges_file" in files and not (folder / file).is_file():
            raise _lacks(name, folder, file)
    if "merges.txt" in files.values():
        _check_merges(name, folder, tokenizer)


def _check_settings(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse settings that transformers takes as they are, and fails on at each text.

    Raises:
        BrokenModelError: There is one of another type.
    """
    length = tokenizer.model_max_length
    if isinstance(length, bool) or not isinstance(length, int | float):
        raise BrokenModelError(
            f"The tokenizer_config.json of {name} gives model_max_length as "
            f"{reprlib.repr(length)}: it is a number of tokens."
        )


def _lacks(name: str, folder: Path, file: str) -> BrokenModelError:
    return BrokenModelError(
        f"The tokenizer of {name} is incomplete: {', '.join(_vocabulary_files(folder))} is there, "
        f"but {file} is missing."
    )


def _check_merges(name: str, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a list of merges that makes only part of the vocabulary: it was cut off.

    Raises:
        BrokenModelError: Many tokens of several symbols are made by no merge.
    """
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    made = {line.replace(" ", "") for line in lines if not line.startswith("#version")}
    added = {str(token) for token in tokenizer.added_tokens_decoder.values()}
    long = [t for t in tokenizer.get_vocab() if len(t.removesuffix("</w>")) > 1 and t not in added]
    unmade = [token for token in long if token not in made]
    if len(unmade) > MOST_UNMADE * len(long):
        raise BrokenModelError(
            f"The tokenizer of {name} is incomplete: merges.txt makes {len(long) - len(unmade):,} "
            f"of the {len(long):,} tokens of vocab.json that have several symbols."
        )

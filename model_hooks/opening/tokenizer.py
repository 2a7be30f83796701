"""How is a model's own tokenizer opened, and if it has none, why?"""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from model_hooks.errors import BrokenModelError
from model_hooks.opening.files import read_json
from model_hooks.opening.reasons import explain, missing_package, needs_code, reason

WHOLE = ("tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
"""Files that hold a whole vocabulary with its rules."""
VOCABULARIES = (*WHOLE, "tekken.json", "vocab.json", "vocab.txt", "*.model", "*.tiktoken")


def open_tokenizer(name: str, folder: Path) -> PreTrainedTokenizerBase:
    """Open the tokenizer in a folder.

    Raises:
        BrokenModelError: There is none, or it cannot be read; the message says why.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:
        raise _why_not(name, folder, error) from error
    _check_own(name, folder, tokenizer)
    return tokenizer


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


def _why_not(name: str, folder: Path, error: Exception) -> BrokenModelError:
    if "trust_remote_code" in str(error) or _brings_code(name, folder):
        return needs_code(name)
    for file in ("vocab.json", "tekken.json"):
        if (folder / file).is_file():
            read_json(name, folder / file)
    if (folder / "tokenizer.json").is_file():
        return _why_not_tokenizer_json(name, folder, error)
    if not _vocabulary_files(folder):
        return _none(name)
    if missing_package(error):
        return explain(name, folder, error)
    return BrokenModelError(
        f"transformers cannot open the tokenizer of {name} "
        f"({', '.join(_vocabulary_files(folder))}): {reason(error, folder)}."
    )


def _why_not_tokenizer_json(name: str, folder: Path, error: Exception) -> BrokenModelError:
    try:
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
            raise BrokenModelError(
                f"The tokenizer of {name} is incomplete: {', '.join(sorted(found))} is there, but "
                f"{file} is missing."
            )

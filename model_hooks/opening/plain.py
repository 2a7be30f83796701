"""Is a tokenizer made of parts alone that are known to come to an end, and to write little?

Most are. One that is not may be as good, but is tried first where it can be ended (`trial.py`).
"""

import base64
import re
import struct
from collections.abc import Mapping
from typing import Any

from model_hooks.opening.bounds import MOST_GROWTH, growth

PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
MODELS = ("BPE", "Unigram", "WordLevel", "WordPiece")
NORMALIZING = ("NFC", "NFD", "NFKC", "NFKD", "Nmt", "Lowercase", "Strip", "StripAccents")
SPLITTING = ("Whitespace", "WhitespaceSplit", "Digits", "Punctuation", "CharDelimiterSplit")
OF_FAMILIES = ("BertNormalizer", "BertPreTokenizer", "BertProcessing", "RobertaProcessing")
JOINING = ("ByteFallback", "Fuse", "WordPiece", "BPEDecoder", "CTC")
OTHERS = ("ByteLevel", "Metaspace", "UnicodeScripts", "Split", "Replace")
KINDS = (*NORMALIZING, *SPLITTING, *OF_FAMILIES, *JOINING, *OTHERS)
"""Parts of tokenizers, as tokenizer.json calls them."""
LONGEST_WORD, LONGEST_PATTERN = 1000, 4000
MOST_ADDED_TOKENS = 20_000
MOST_WRITTEN = 256
"""Special tokens, or letters, that a part may add to each text, or write for one letter."""
MOST_REPEATS = 3
"""Signs of a regular expression that repeat without end, in one of its alternatives."""
_ESCAPED = re.compile(r"\\[pP]\{[^}]*\}|\\.|\[(?:\\.|[^\]\\])*\]", re.DOTALL)
_INNERMOST = re.compile(r"\((?:\?(?:[imsx-]*:|[=!>]|<[=!]))?([^()]*)\)(\*|\+|\{)?")
_REPEAT = re.compile(r"[*+]|\{\d*,\}")


def is_plain(said: Any) -> bool:
    """Tell whether a tokenizer is known to come to an end on every text.

    Args:
        said: What tokenizer.json says.
    """
    if not isinstance(said, dict):
        return False
    model, added = said.get("model"), said.get("added_tokens") or ()
    try:
        return (
            isinstance(model, dict)
            and model.get("type", "BPE") in MODELS
            and model.get("max_input_chars_per_word", 0) <= LONGEST_WORD
            and len(added) <= MOST_ADDED_TOKENS
            and not _pads(said.get("padding"))
            and all(_is_plain_part(said.get(part)) for part in PARTS)
        )
    except (TypeError, ValueError, AttributeError, RecursionError):
        return False


def _pads(padding: Any) -> bool:
    strategy = padding.get("strategy") if isinstance(padding, dict) else None
    return isinstance(strategy, dict) and strategy.get("Fixed", 0) > LONGEST_WORD


def _is_plain_part(part: Any) -> bool:
    if part is None:
        return True
    kind = part["type"]
    if kind == "Sequence":
        (steps,) = (value for value in part.values() if isinstance(value, list))
        return growth(part) <= MOST_GROWTH and all(map(_is_plain_part, steps))
    if kind == "TemplateProcessing":
        return _n_special(part) <= MOST_WRITTEN
    if kind == "Precompiled":
        return longest_written(part["precompiled_charsmap"]) <= MOST_WRITTEN
    if kind == "Prepend":
        return len(part["prepend"]) <= MOST_WRITTEN
    regex = part["pattern"].get("Regex", "") if kind in ("Split", "Replace") else ""
    return kind in KINDS and growth(part) <= MOST_GROWTH and is_plain_regex(regex)


def _n_special(part: Mapping[str, Any]) -> int:
    """Count the special tokens that a template adds to a text."""
    ids = {name: len(one["ids"]) for name, one in part["special_tokens"].items()}
    pieces = [*part["single"], *part["pair"]]
    return sum(ids[one["SpecialToken"]["id"]] for one in pieces if "SpecialToken" in one)


def longest_written(charsmap: str) -> int:
    """Return the most bytes that SentencePiece's map of characters writes for one of them.

    It is the size of a trie in four bytes, the trie, and all texts that are written, each ended by
    a zero byte.

    Raises:
        ValueError: It is no such map.
    """
    raw = base64.b64decode(charsmap)
    if len(raw) < 4:
        raise ValueError("there is no trie")
    (size,) = struct.unpack_from("<I", raw)
    return max(map(len, raw[4 + size :].split(b"\0")))


def is_plain_regex(pattern: str) -> bool:
    """Tell whether a regular expression repeats nothing that repeats or chooses by itself.

    What does may take a time that doubles with each letter.
    """
    if len(pattern) > LONGEST_PATTERN:
        return False
    rest = _ESCAPED.sub("x", pattern)
    while group := _INNERMOST.search(rest):
        inside, repeated = group[1], group[2] is not None
        varies = any(sign in inside for sign in "*+?{|")
        if repeated and varies:
            return False
        n_repeats = max(map(_n_repeats, inside.split("|")))
        stands_for = "x*" * n_repeats + ("x?" if varies else "x")
        rest = rest[: group.start()] + stands_for + rest[group.end() - repeated :]
    return all(_n_repeats(one) <= MOST_REPEATS for one in rest.split("|"))


def _n_repeats(pattern: str) -> int:
    return len(_REPEAT.findall(pattern))

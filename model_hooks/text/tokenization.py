"""What does a tokenizer do with a text: its tokens, the merges that made them, its vocabulary?

Knows tokenizers only; no model is needed for any of this.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from model_hooks.errors import PromptError
from model_hooks.text.cuts import Token, Tokenization, Word, split_characters
from model_hooks.text.merges import MergeStep, merge_steps, smallest_pieces
from model_hooks.text.tokens import clean_text
from model_hooks.text.vocabulary import Kind, Vocabulary

SPACE = "▁"
"""How SentencePiece vocabularies write a space."""
LONGEST_CHARACTER = 32
"""Tokens that are looked at beyond a limit, to finish a character that begins before it."""


class TokenizerView(Vocabulary):
    """Looks into one tokenizer; changes nothing in it."""

    @property
    def chat_template(self) -> str | None:
        """The template that writes a conversation (Jinja); None if there is none."""
        template = getattr(self.tokenizer, "chat_template", None)
        if isinstance(template, dict):
            template = template.get("default") or next(iter(template.values()), None)
        return template or None

    @property
    def looks_up_whole_words(self) -> bool:
        """Whether BPE takes a word that is in the vocabulary as it is, without merging."""
        return bool(self.settings.get("ignore_merges"))

    def tokenize(
        self, text: str, *, limit: int | None = None, add_special_tokens: bool = True
    ) -> Tokenization:
        """Cut a text into tokens.

        Args:
            text: Any text; lone surrogates become U+FFFD, as for the model.
            limit: Describe only the first tokens (all IDs are returned). A character that begins
                before the limit is finished.
            add_special_tokens: Add what the tokenizer adds by default.
        """
        cut = self._cut(text, add_special_tokens)
        shown = cut.ids if limit is None else cut.ids[: limit + LONGEST_CHARACTER]
        pairs = zip(shown, cut.added, strict=False)
        kinds: list[Kind] = [self.kind(token_id, flag) for token_id, flag in pairs]
        utf8 = [self.utf8(token_id) for token_id in shown]
        split = split_characters(utf8, [kind == "text" for kind in kinds])
        n_shown = len(shown) if limit is None else min(limit, len(shown))
        n_shown = next((c.stop for c in split if c.first < n_shown < c.stop), n_shown)
        tokens = tuple(
            Token(
                pos=pos,
                token_id=shown[pos],
                piece=self.piece(shown[pos]),
                text=string,
                utf8=utf8[pos] if kinds[pos] == "text" else b"",
                kind=kinds[pos],
                span=None if cut.spans is None or kinds[pos] == "added" else cut.spans[pos],
            )
            for pos, string in enumerate(self.text.strings(shown)[:n_shown])
        )
        words, word_of = self._words(tokens, cut.word_ids)
        inner = [token_id for token_id, flag in zip(cut.ids, cut.added, strict=True) if not flag]
        return Tokenization(
            text=text,
            token_ids=cut.ids,
            tokens=tokens,
            split_characters=tuple(c for c in split if c.stop <= n_shown),
            words=words,
            word_of=word_of,
            n_added=sum(cut.added),
            decoded=self.tokenizer.decode(inner, skip_special_tokens=False),
        )

    def cut(self, spelling: str) -> tuple[int, ...]:
        """Return the token IDs that the tokenizer's own algorithm makes of a word.

        Args:
            spelling: A `Word.spelling`.
        """
        model: Any = None if self.backend is None else self.backend.model
        return () if model is None else tuple(token.id for token in model.tokenize(spelling))

    def merge_steps(self, spelling: str) -> tuple[MergeStep, ...]:
        """Merge a word as byte-pair encoding does, one merge at a time; see `merges`."""
        return merge_steps(self, spelling)

    def smallest_pieces(self, spelling: str) -> list[int]:
        """Return the IDs that merging a word begins with: bytes, characters, or unknown ones."""
        return smallest_pieces(self, spelling)

    def chat_text(self, text: str) -> str:
        """Write a text as the user's turn of a conversation, as the chat template does.

        Raises:
            PromptError: There is no template, or it fails.
        """
        if self.chat_template is None:
            raise PromptError("This tokenizer has no chat template.")
        try:
            return self.tokenizer.apply_chat_template(
                [{"role": "user", "content": clean_text(text)}],
                chat_template=self.chat_template,
                tokenize=False,
                add_generation_prompt=True,
            )
        except Exception as error:  # whatever a template from the Hub does
            raise PromptError(
                "This tokenizer's chat template could not be filled in with one turn of a user."
            ) from error

    def _cut(self, text: str, add_special_tokens: bool) -> "_Cut":
        encoded = self.tokenizer(
            clean_text(text),
            add_special_tokens=add_special_tokens,
            return_special_tokens_mask=True,
            verbose=False,
        )
        fast = encoded.encodings[0] if encoded.encodings else None
        return _Cut(
            ids=tuple(int(token_id) for token_id in encoded["input_ids"]),
            added=[bool(flag) for flag in encoded["special_tokens_mask"]],
            spans=None if fast is None else fast.offsets,  # each access makes a new list
            word_ids=None if fast is None else fast.word_ids,
        )

    def _words(
        self, tokens: Sequence[Token], word_ids: Sequence[int | None] | None
    ) -> tuple[tuple[Word, ...], tuple[int | None, ...]]:
        """Join tokens that were cut from one word, and spell the word as the vocabulary does."""
        index: dict[Word, int] = {}
        word_of: list[int | None] = [None] * len(tokens)
        for run in self._runs(tokens, word_ids):
            if spelling := self._spelling(run):
                text = b"".join(token.utf8 for token in run).decode("utf-8", "replace")
                for token in run:
                    word_of[token.pos] = index.setdefault(Word(text, spelling), len(index))
        return tuple(index), tuple(word_of)

    def _runs(
        self, tokens: Sequence[Token], word_ids: Sequence[int | None] | None
    ) -> list[list[Token]]:
        """The tokens of each word; none where the tokenizer does not tell its words."""
        if word_ids is None or self.backend is None:
            return []
        whole_text = self.backend.pre_tokenizer is None  # SentencePiece: ▁ begins a word
        runs: list[list[Token]] = []
        before = None
        for token, word in zip(tokens, word_ids, strict=False):
            begins = word != before or (whole_text and token.piece.startswith(SPACE))
            if token.kind in ("added", "special"):
                before = None
                continue
            if begins or not runs:
                runs.append([])
            runs[-1].append(token)
            before = word
        return runs

    def _spelling(self, run: Sequence[Token]) -> str:
        if any(token.kind == "unknown" for token in run):
            return ""
        if self.settings.get("byte_fallback"):
            spelling = b"".join(token.utf8 for token in run).decode("utf-8", "ignore")
            return spelling.replace(" ", SPACE)
        pieces = [run[0].piece, *(token.piece.removeprefix(self.prefix) for token in run[1:])]
        return "".join(pieces).removesuffix(self.suffix)


class _Cut(NamedTuple):
    """What the tokenizer itself says of a text."""

    ids: tuple[int, ...]
    added: list[bool]
    spans: list[tuple[int, int]] | None
    word_ids: list[int | None] | None


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer that BPE begins with: one token per byte, whose ID is the byte."""
    backend = Tokenizer(BPE({char: byte for byte, char in bytes_to_unicode().items()}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend)

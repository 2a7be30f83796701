"""What does a tokenizer do with a text: its tokens, the merges that made them, its vocabulary?

Knows tokenizers only; no model is needed for any of this.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from model_hooks.arrays import check_count
from model_hooks.errors import PromptError
from model_hooks.opening.reasons import panics_are_errors
from model_hooks.text.chat import fill_in
from model_hooks.text.conversations import AS_USUAL, Asked, Conversation, turns_of
from model_hooks.text.cuts import Token, Tokenization, Word, left_out, split_characters
from model_hooks.text.encoding import encoded, failed
from model_hooks.text.merges import MergeStep, merge_steps, smallest_pieces
from model_hooks.text.pieces import SPACE
from model_hooks.text.tokens import clean_text, readable
from model_hooks.text.vocabulary import Kind, Vocabulary

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
        if limit is not None:
            limit = check_count("limit", limit, PromptError)
        cut = self._cut(clean_text(text), add_special_tokens)
        inner = [token_id for token_id, flag in zip(cut.ids, cut.added, strict=True) if not flag]
        decoded = self.text.pieces.decode(inner)
        lost = left_out(cut.text, decoded)
        if lost:  # then the tokenizer counts its spans wrongly
            cut = cut._replace(spans=None)
        described = None if limit is None else limit + LONGEST_CHARACTER
        shown = cut.first(described)
        utf8 = self._in_place(cut, len(shown.ids))
        kinds: list[Kind] = [self._kind(shown, pos) for pos in range(len(shown.ids))]
        is_text = [kind == "text" for kind in kinds]
        split = split_characters(utf8, is_text)
        n_shown = len(kinds) if limit is None else min(limit, len(kinds))
        n_shown = next((c.stop for c in split if c.first < n_shown < c.stop), n_shown)
        tokens = tuple(
            Token(
                pos=pos,
                token_id=shown.ids[pos],
                piece=self.piece(shown.ids[pos]),
                text=string,
                utf8=utf8[pos] if is_text[pos] else b"",
                kind=kinds[pos],
                span=None if shown.spans is None or shown.added[pos] else shown.spans[pos],
            )
            for pos, string in enumerate(readable(utf8)[:n_shown])
        )
        words, word_of = self._words(tokens, cut.word_ids)
        return Tokenization(
            text=text,
            token_ids=cut.ids,
            tokens=tokens,
            split_characters=tuple(c for c in split if c.stop <= n_shown),
            words=words,
            word_of=word_of,
            n_added=sum(cut.added),
            decoded=decoded,
            lost=lost,
        )

    def cut(self, spelling: str) -> tuple[int, ...]:
        """Return the token IDs that the tokenizer's own algorithm makes of a word.

        Args:
            spelling: A `Word.spelling`.

        Raises:
            PromptError: The tokenizer fails on it.
        """
        spelling = clean_text(spelling)
        if self.backend is None:
            return ()
        model: Any = self.backend.model
        try:
            with panics_are_errors():
                return tuple(token.id for token in model.tokenize(spelling))
        except Exception as error:
            raise failed(error) from error

    def merge_steps(self, spelling: str) -> tuple[MergeStep, ...]:
        """Merge a word as byte-pair encoding does, one merge at a time; see `merges`."""
        return merge_steps(self, spelling)

    def smallest_pieces(self, spelling: str) -> list[int]:
        """Return the IDs that merging a word begins with: bytes, characters, or unknown ones."""
        return smallest_pieces(self, spelling)

    def chat_text(self, conversation: Conversation, asked: Asked = AS_USUAL) -> str:
        """Write a conversation as one text, as the chat template does, up to where an answer goes.

        Args:
            conversation: The turns, each with a `role` and its `content`; a text alone is the
                turn of a user.
            asked: What the template is asked for besides.

        Raises:
            PromptError: It is no conversation, there is no template, or the template fails or does
                not end.
        """
        if self.chat_template is None:
            raise PromptError("This tokenizer has no chat template.")
        turns = turns_of(conversation)
        return fill_in(self.chat_template, turns, self.tokenizer.special_tokens_map, asked)

    def chat_ids(self, conversation: Conversation, asked: Asked = AS_USUAL) -> tuple[int, ...]:
        """Return the token IDs of a conversation; the template alone says where a text begins.

        Raises:
            PromptError: It is no conversation, there is no template, or the template fails.
        """
        return self._cut(self.chat_text(conversation, asked), add_special_tokens=False).ids

    def chat_prompt(self, conversation: Conversation, asked: Asked = AS_USUAL) -> str | None:
        """Return a text that becomes the token IDs of a conversation when it is a prompt.

        What the tokenizer adds to every prompt is left out of the template's text.

        Returns:
            None where no text does, such as where an end is added to every prompt.

        Raises:
            PromptError: It is no conversation, there is no template, or the template fails.
        """
        text = self.chat_text(conversation, asked)
        wanted, whole = (
            self._cut(text, add_special_tokens=False).ids,
            self._cut(text, add_special_tokens=True),
        )
        first = whole.added.index(False) if False in whole.added else 0
        begin = "".join(self.piece(token_id) for token_id in whole.ids[:first])
        tried = (self._cut(one, True) for one in (text, text.removeprefix(begin)))
        return next((cut.text for cut in tried if cut.ids == wanted), None)

    def _cut(self, text: str, add_special_tokens: bool) -> "_Cut":
        said = encoded(
            self.tokenizer,
            text,
            add_special_tokens=add_special_tokens,
            return_special_tokens_mask=True,
        )
        fast = said.encodings[0] if said.encodings else None
        ids = tuple(int(token_id) for token_id in said["input_ids"])
        mask = [bool(flag) for flag in said["special_tokens_mask"]]
        return _Cut(
            text=text,
            ids=ids,
            # ByT5 says that it adds an end also where one is typed, and then adds none
            added=mask if len(mask) == len(ids) else [False] * len(ids),
            spans=None if fast is None else fast.offsets,  # each access makes a new list
            word_ids=None if fast is None else fast.word_ids,
        )

    def _in_place(self, cut: "_Cut", n_tokens: int) -> tuple[bytes, ...]:
        """The bytes of the first tokens: of the text's own in its place, of added ones by name."""
        nearby = cut.first(n_tokens + 1)  # what comes next tells how a token ends
        pairs = tuple(zip(nearby.ids, nearby.added, strict=True))
        own = iter(self.text.pieces.of_text([token_id for token_id, added in pairs if not added]))
        named = [self.utf8(token_id) if added else next(own) for token_id, added in pairs]
        return tuple(named[:n_tokens])

    def _kind(self, cut: "_Cut", pos: int) -> Kind:
        """What kind of token this is; one that stands for lost text may be typed by its name."""
        kind = self.kind(cut.ids[pos], cut.added[pos])
        typed = kind == "unknown" and cut.has_in_text(pos, self.piece(cut.ids[pos]))
        return "special" if typed else kind

    def _words(
        self, tokens: Sequence[Token], word_ids: Sequence[int | None] | None
    ) -> tuple[tuple[Word, ...], tuple[int | None, ...]]:
        """Join tokens that were cut from one word, and spell the word as the vocabulary does."""
        index: dict[Word, int] = {}
        word_of: list[int | None] = [None] * len(tokens)
        for run in self._runs(tokens, word_ids):
            for part in self._parts(run):
                if spelling := self._spelling(part):
                    text = b"".join(token.utf8 for token in part).decode("utf-8", "replace")
                    for token in part:
                        word_of[token.pos] = index.setdefault(Word(text, spelling), len(index))
        return tuple(index), tuple(word_of)

    def _runs(
        self, tokens: Sequence[Token], word_ids: Sequence[int | None] | None
    ) -> list[list[Token]]:
        """The tokens of each word; none where the tokenizer does not tell its words."""
        if word_ids is None or self.backend is None:
            return []
        plain = self.tokenizer.added_tokens_decoder
        pairs = zip(tokens, word_ids, strict=False)
        # What was added to the vocabulary is looked for before words are cut: none made it.
        grouped = groupby(pairs, lambda pair: (pair[1], pair[0].token_id in plain))
        runs = ([token for token, _ in some] for (_, added), some in grouped if not added)
        return [run for run in runs if run[0].kind not in ("added", "special")]

    def _parts(self, run: list[Token]) -> list[list[Token]]:
        """Cut a run where a `▁` begins a word, if its parts alone become the same tokens.

        Many tokenizers hand over the whole text as one word, and their vocabularies mark where
        words begin.
        """
        starts = [i for i, token in enumerate(run) if i and token.piece.startswith(SPACE)]
        parts = [run[a:b] for a, b in pairwise([0, *starts, len(run)])]
        if len(parts) == 1 or all(self._is_cut_alone(part) for part in parts):
            return parts
        return [run]

    def _is_cut_alone(self, part: Sequence[Token]) -> bool:
        """Whether the tokenizer makes the same tokens of this part alone."""
        spelling = self._spelling(part)
        ids = tuple(token.token_id for token in part)
        if any(token.kind == "unknown" for token in part):
            return True
        with suppress(PromptError):  # alone, some of it may be unknown
            return self.cut(spelling) == ids
        return False

    def _spelling(self, run: Sequence[Token]) -> str:
        if any(token.kind == "unknown" for token in run):
            return ""
        if self.settings.get("byte_fallback"):
            return self._without_bytes(run)
        pieces = [run[0].piece, *(token.piece.removeprefix(self.prefix) for token in run[1:])]
        return "".join(pieces).removesuffix(self.suffix)

    def _without_bytes(self, run: Sequence[Token]) -> str:
        """The spelling of tokens some of which are single bytes, such as `<0x41>`."""
        written = self.text.pieces.spelled
        return b"".join(written(token.token_id) for token in run).decode("utf-8", "ignore")


class _Cut(NamedTuple):
    """What the tokenizer itself says of a text."""

    text: str
    ids: tuple[int, ...]
    added: list[bool]
    spans: list[tuple[int, int]] | None
    word_ids: list[int | None] | None

    def first(self, n_tokens: int | None) -> "_Cut":
        """The same of the first tokens."""
        some = slice(n_tokens)
        spans = None if self.spans is None else self.spans[some]
        return self._replace(ids=self.ids[some], added=self.added[some], spans=spans)

    def has_in_text(self, pos: int, name: str) -> bool:
        """Whether a token's name stands in the text where the token comes from.

        Without spans, whether it stands in the text as often as the token comes up.
        """
        if self.spans is not None:
            return self.text[slice(*self.spans[pos])].strip() == name
        return self.text.count(name) == self.ids.count(self.ids[pos])


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer that BPE begins with: one token per byte, whose ID is the byte."""
    backend = Tokenizer(BPE({char: byte for byte, char in bytes_to_unicode().items()}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=backend)

"""Reads a training text: stories separated by lines that hold only `<|endoftext|>`."""

from pathlib import Path

SEPARATOR = "<|endoftext|>"


class CorpusError(ValueError):
    """The text cannot be trained on; the message says why and what to do."""


def read_documents(path: str | Path) -> list[str]:
    """The documents of a UTF-8 text file, without the separator lines.

    A file without separators is one document.

    Raises:
        CorpusError: If the file is missing, unreadable, empty, binary or not UTF-8.
    """
    path = Path(path)
    if path.is_dir():
        raise CorpusError(f"{path} is a folder. Give the path of one text file.")
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise CorpusError(f"There is no file {path}. Give the path of a text file.") from None
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}.") from error
    if b"\0" in raw:
        raise CorpusError(
            f"{path} is binary, not text: it holds NUL bytes. Give a plain text file."
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path} is not UTF-8: byte {error.start:,} cannot be decoded. "
            "Convert it first, for example with `iconv -t UTF-8`."
        ) from error
    documents = [part.strip() for part in text.split(SEPARATOR)]
    documents = [document for document in documents if document]
    if not documents:
        raise CorpusError(f"{path} is empty. Give a text file with some stories in it.")
    return documents

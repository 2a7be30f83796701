"""Which model does a name stand for, and how is it said in a few letters?"""

import re
from pathlib import PurePath

WITHOUT = " without its adapter"
"""After an adapter's name: the model that it sits on, alone."""
QUOTES = "\"'`\u201c\u201d\u2018\u2019"
_PAGE = re.compile(
    r"(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<id>[^/?#\s]+/[^/?#\s]+)"
    r"(?:/(?:blob|resolve)/[^/?#\s]+/(?P<file>[^/?#\s]+\.gguf))?(?:[/?#].*)?",
    re.IGNORECASE,
)
"""A model's page on the Hub, or that of a GGUF file in it."""


def with_adapter(name: str) -> str:
    """Return the name of an adapter, also where its model alone is named."""
    return name.removesuffix(WITHOUT)


def without_adapter(name: str) -> str:
    """Return the name of the model that an adapter sits on, alone."""
    return with_adapter(name) + WITHOUT


def meant_by(typed: str) -> str:
    """Return the name that somebody means who typed or pasted a text.

    Of a path in quotes, the path; of a page on the Hub, the id of what it shows.
    """
    name = typed.strip().strip(QUOTES).strip()
    if page := _PAGE.fullmatch(name):
        return page["id"] + (f":{page['file']}" if page["file"] else "")
    return name.removeprefix("file://")


def short_name(name: str) -> str:
    """Return the last part of a path; of any other name, all of it."""
    path = PurePath(with_adapter(name).replace("\\", "/"))
    is_path = path.is_absolute() or path.parts[:1] in (("~",), ("..",)) or name[:2] == "./"
    is_path = is_path or bool(re.match(r"[A-Za-z]:[/\\]", name)) or len(path.parts) > 2
    if not is_path or not path.name:
        return name
    return path.name + (WITHOUT if name.endswith(WITHOUT) else "")

"""What does a chat template write, found out in a process of its own (`chat.py`)?

Takes the bytes of memory that a template may fill, and how many characters it may write. Reads one
JSON object per line, {"template", "turns", "special_tokens"}, and answers each with {"text"} or
{"problem"}; an empty line with {}. Ends when its standard input closes, as it does when the app
ends. Imports no torch.
"""

import json
import sys
from contextlib import suppress
from typing import Any

from transformers.utils.chat_template_utils import render_jinja_template


def limit_memory(n_bytes: int) -> None:
    """Let this process grow by so much; nothing where the system knows no such limit."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm") as file:
            taken = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + n_bytes, taken + n_bytes))


def answer(asked: dict[str, Any], n_characters: int) -> dict[str, str]:
    """Fill in a template as `apply_chat_template` does."""
    try:
        (text,), _ = render_jinja_template(
            conversations=[asked["turns"]],
            chat_template=asked["template"],
            add_generation_prompt=True,
            **asked["special_tokens"],
        )
        if len(text) > n_characters:
            return {"problem": f"it writes more than {n_characters:,} characters"}
        return {"text": text}
    except MemoryError:
        return {"problem": "it needs more memory than it is given"}
    except BaseException as error:  # it may do anything
        return {"problem": str(error) or type(error).__name__}


def main() -> None:
    """Answer line by line."""
    limit_memory(int(sys.argv[1]))
    for line in sys.stdin:
        asked = json.loads(line) if line.strip() else None
        found = answer(asked, int(sys.argv[2])) if asked else {}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()

"""What does a chat template write, found out in a process of its own (`chat.py`)?

Takes how many characters a template may write. Reads one JSON object per line, {"template",
"turns", "special_tokens", "answer", "tools"} and maybe {"choices"}, and answers each with {"text"}
or {"problem"}, as `Aside` asks. Imports no torch.
"""

import json
import sys
from typing import Any

from transformers.utils.chat_template_utils import render_jinja_template


def answer(asked: dict[str, Any], n_characters: int) -> dict[str, str]:
    """Fill in a template as `apply_chat_template` does."""
    try:
        (text,), _ = render_jinja_template(
            conversations=[asked["turns"]],
            chat_template=asked["template"],
            tools=asked["tools"],
            add_generation_prompt=asked["answer"],
            **asked["special_tokens"],
            **asked.get("choices", {}),
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
    for line in sys.stdin:
        asked = json.loads(line) if line.strip() else None
        found = answer(asked, int(sys.argv[1])) if asked else {}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()

"""What can a lesson ask of a model? A closed table of questions, each answered by a live run.

    answer("probability", Subject("storyteller", "Lily and"), {"of": " Tim"})   # 0.02

Files name rows of the table; there is no code in them.
"""

from collections.abc import Mapping
from typing import Any

from pages.teach.deeper import DEEPER
from pages.teach.one_run import ONE_RUN
from pages.teach.subject import Answer, Kind, Subject

KINDS: Mapping[str, Kind] = {**ONE_RUN, **DEEPER}


def answer(ask: str, about: Subject, given: Mapping[str, Any]) -> Answer:
    """Answer a question of the table.

    Raises:
        InlookError: This model has no answer; the message says why.
    """
    return KINDS[ask].answer(about, **given)

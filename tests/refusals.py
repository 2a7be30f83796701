"""What one is told who opens a model that cannot be opened: one sentence."""

from pathlib import Path

import pytest

from model_hooks import InlookError, load_model


def said_of(place: Path | str) -> str:
    """Return the sentence, once it has been seen to be one."""
    with pytest.raises(InlookError) as error:
        load_model(str(place))
    said = str(error.value)
    assert said.endswith(".")
    assert "\n" not in said
    return said

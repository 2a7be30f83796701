"""What is an adapter (LoRA or the like), on which model does it sit, and how is it put into it?

PEFT reads it and merges it; what comes out is a plain model with other weights.
"""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open
from transformers import PreTrainedModel

from model_hooks.errors import BrokenModelError
from model_hooks.opening.files import check_regular, names_weights, read_json
from model_hooks.opening.gguf_files import is_gguf
from model_hooks.opening.reasons import reason
from model_hooks.opening.tokenizer import WHOLE

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


class Adapter(NamedTuple):
    """What an adapter's own config says of it."""

    folder: Path
    base: str
    """The model that it changes: a name to look for, or its own folder."""
    kind: str
    """Such as `LoRA, rank 8`."""


def read_adapter(name: str, folder: Path) -> Adapter | None:
    """Return what a folder's adapter says of itself; None where there is none.

    Raises:
        BrokenModelError: It names no model, or its weights may not be opened.
    """
    if is_gguf(folder) or not (folder / CONFIG).is_file():
        return None
    check_regular(name, folder, folder / CONFIG)
    said = read_json(name, folder / CONFIG)
    base = str(folder) if names_weights(folder) else said.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise BrokenModelError(
            f"{name} is an adapter, but its {CONFIG} does not say for which model: it lacks "
            "base_model_name_or_path."
        )
    if not (folder / WEIGHTS).exists():
        raise BrokenModelError(
            f"{name} is an adapter without weights that may be opened: there is no {WEIGHTS} in it "
            "(a pickle file can run code when opened: convert it to safetensors first)."
        )
    check_regular(name, folder, folder / WEIGHTS)
    if (folder / base).is_dir():
        base = str(folder / base)
    rank = said.get("r")
    kind = str(said.get("peft_type", "LORA")).replace("LORA", "LoRA")
    return Adapter(folder, base, f"{kind}, rank {rank}" if isinstance(rank, int) else kind)


def own_tokenizer(adapter: Adapter) -> bool:
    """Tell whether a tokenizer came along with an adapter."""
    return any((adapter.folder / file).is_file() for file in WHOLE)


@contextmanager
def plain_folder(folder: Path) -> Iterator[Path]:
    """Give a folder in which transformers finds no adapter, so that it opens the model alone."""
    if is_gguf(folder) or not (folder / CONFIG).is_file():
        yield folder
        return
    with tempfile.TemporaryDirectory() as plain:
        for path in folder.iterdir():
            if path.is_file() and not path.name.startswith("adapter_"):
                check_regular(str(folder), folder, path)
                shutil.copy(path, plain)
        yield Path(plain)


def merged(name: str, adapter: Adapter, model: PreTrainedModel) -> PreTrainedModel:
    """Put an adapter into its model, as PEFT does.

    Raises:
        BrokenModelError: It is for another model, or of a kind that cannot be merged.
    """
    from peft import PeftConfig, PeftModel  # only here: it takes a second to import

    folder = str(adapter.folder)
    try:
        _check_ranks(name, adapter)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = PeftConfig.from_pretrained(folder)
            put_on = PeftModel.from_pretrained(model, folder, config=config)
            _check_all_used(name, adapter, put_on)
            return put_on.merge_and_unload()  # pyright: ignore[reportCallIssue]
    except BrokenModelError:
        raise
    except (AttributeError, NotImplementedError) as error:
        raise BrokenModelError(
            f"{name} is an adapter ({adapter.kind}) that PEFT cannot merge into its model: "
            f"{reason(error, folder)}."
        ) from error
    except Exception as error:
        raise BrokenModelError(
            f"{name} is an adapter that does not fit its model, {adapter.base}: "
            f"{reason(error, folder)}."
        ) from error


def _check_ranks(name: str, adapter: Adapter) -> None:
    """Refuse an adapter whose config asks for larger matrices than its weights are.

    PEFT makes them before it looks at the weights.
    """
    said = read_json(name, adapter.folder / CONFIG)
    pattern = said.get("rank_pattern")
    ranks = [said.get("r"), *(pattern.values() if isinstance(pattern, dict) else ())]
    with safe_open(adapter.folder / WEIGHTS, framework="numpy") as file:
        shapes = [file.get_slice(key).get_shape() for key in file.keys()]  # noqa: SIM118
    widest = max((size for shape in shapes for size in shape), default=0)
    for rank in ranks:
        if isinstance(rank, int) and rank > widest:
            raise BrokenModelError(
                f"{name} is an adapter of rank {rank:,} by its {CONFIG}, but no matrix of its "
                f"weights is wider than {widest:,}."
            )


def _check_all_used(name: str, adapter: Adapter, put_on: Any) -> None:
    """Refuse an adapter some of whose weights have no place, or that lacks some of its own."""
    from peft import get_peft_model_state_dict

    with safe_open(adapter.folder / WEIGHTS, framework="pt") as file:
        held = set(file.keys())
    made = set(get_peft_model_state_dict(put_on))
    for some, says in ((held - made, "have no place in it"), (made - held, "are missing")):
        if some:
            raise BrokenModelError(
                f"{name} is an adapter that does not fit its model, {adapter.base}: {len(some)} of "
                f"its weights {says} (such as {min(some)})."
            )

"""Is what was loaded what the weight files hold?

A loader changes what the whole process shares while it works. Were it disturbed, some weights would
be made up without a word; so a few numbers of each tensor are read once more, past the loader.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter

from model_hooks.errors import BrokenModelError
from model_hooks.opening.families import opener

N_READ = 64
"""Numbers of each tensor that are compared, from its beginning and from its end."""
_PLAIN = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def check_loaded(name: str, files: Iterable[Path], model: PreTrainedModel) -> None:
    """Refuse a model whose weights are not those of its files.

    Tensors that go by another name in the model are left out, and so are models whose weights are
    rearranged or unpacked on their way.

    Raises:
        BrokenModelError: A tensor differs.
    """
    quantised = getattr(model.config, "quantization_config", None) is not None
    conversions = get_model_conversion_mapping(model, add_legacy=False)
    if quantised or any(isinstance(one, WeightConverter) for one in conversions):
        return
    loaded = dict(model.named_parameters())
    for key, held in _ends(files, loaded):
        got = _both_ends(loaded[key].detach())
        if not torch.equal(got.nan_to_num().cpu(), held.to(got.dtype).nan_to_num()):
            raise BrokenModelError(
                f"What was loaded of {name} is not what its files hold ({key} differs): its files "
                "were changed meanwhile, or the loading was disturbed. Open it again."
            )


def load_checked(name: str, folder: Path, **how: Any) -> PreTrainedModel:
    """Let transformers load a model, and refuse one that it made up or left out weights of.

    Args:
        name: What the visitor called the model.
        folder: Where its files are.
        **how: What else `from_pretrained` is to know; never code from a repository.

    Raises:
        BrokenModelError: The config and the weights are of two models, or weights are missing.
    """
    told: Any = opener(how["config"].model_type).from_pretrained(
        str(folder),
        trust_remote_code=False,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # else the shapes are only logged
        **how,
    )
    model, report = told
    _check_report(name, model, report, "header" if "gguf_file" in how else "config.json")
    return model


def _check_report(name: str, model: PreTrainedModel, report: dict[str, Any], where: str) -> None:
    """Refuse weights that transformers made up, and a model that leaves some of its own unread.

    Raises:
        BrokenModelError: The config and the weights are of two models, or weights are missing.
    """
    mismatched = sorted(report.get("mismatched_keys", ()))
    if (mismatched or report.get("missing_keys")) and (way := _quantised(model.config)):
        raise BrokenModelError(
            f"{name} keeps its weights in a way ({way}) that transformers does not turn into "
            "numbers here: choose the model as it was before it was quantised."
        )
    if mismatched:
        key, held, described = mismatched[0]
        raise BrokenModelError(
            f"The {where} of {name} describes another model than its weights: {key} is of "
            f"the shape {tuple(held)}, where the {where} asks for {tuple(described)}."
        )
    unread = sorted(report.get("unexpected_keys", ()))
    missing = sorted(report.get("missing_keys", ()))
    if missing and unread:
        raise BrokenModelError(
            f"The {where} of {name} describes another model than its weights: {len(missing)} "
            f"that it asks for are missing (such as {missing[0]}), and {len(unread)} that are "
            f"there would not be read (such as {unread[0]})."
        )
    if missing:
        raise BrokenModelError(
            f"{name} lacks {len(missing)} of its weights (such as {missing[0]}): the checkpoint "
            "is incomplete."
        )
    known = {re.sub(r"\d+", "#", key) for key, _ in model.named_parameters()}
    if more := [key for key in unread if re.sub(r"\d+", "#", key) in known]:
        raise BrokenModelError(
            f"The {where} of {name} describes a smaller model than its weights: {len(more)} "
            f"of them would not be read (such as {more[0]})."
        )


def _quantised(config: Any) -> str | None:
    """Return the way in which weights are packed, by the config's own word."""
    settings = getattr(config, "quantization_config", None)
    read = settings.get if isinstance(settings, dict) else partial(getattr, settings)
    way = read("quant_method", None) if settings is not None else None
    return None if way is None else str(getattr(way, "value", way))


def let_go_of_files(model: PreTrainedModel) -> None:
    """Copy weights that still lie in their files into memory.

    Weights in the file's own number format are the file's own pages. If somebody shortened it, the
    next run would end the whole process.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.device.type == "cpu":
            tensor.data = tensor.data.clone()


def _ends(
    files: Iterable[Path], loaded: dict[str, torch.nn.Parameter]
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the ends of all tensors that are in the files and loaded by the same name."""
    for file in files:
        with safe_open(file, framework="pt") as held:
            for key in held.keys():  # noqa: SIM118
                tensor = held.get_slice(key)
                if key in loaded and tensor.get_shape() == list(loaded[key].shape):
                    ends = _both_ends(tensor)
                    if ends.dtype in _PLAIN and loaded[key].dtype in _PLAIN:
                        yield key, ends


def _both_ends(tensor: Any) -> torch.Tensor:
    """Return numbers from the first and the last row of a tensor, or of one in a file."""
    shape = tensor.shape if isinstance(tensor, torch.Tensor) else tensor.get_shape()
    if not shape:
        return torch.as_tensor(tensor[...]).reshape(1)
    rows = N_READ if len(shape) == 1 else 1
    first, last = tensor[:rows].reshape(-1), tensor[max(0, shape[0] - rows) :].reshape(-1)
    return torch.cat([first[:N_READ], last[-N_READ:]])

"""How does a causal LM get loaded, by bundled name, folder or Hub id, and if it does not, why?"""

import os
from pathlib import Path
from typing import Any

import psutil
import torch
from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)
from transformers.utils import logging as transformers_logging

from model_hooks.errors import (
    BrokenModelError,
    ModelError,
    ModelNotFoundError,
    ModelTooLargeError,
    NotCausalError,
)
from model_hooks.model import HookedModel

BUNDLED = Path(__file__).resolve().parents[1] / "models"
MEMORY_SHARE = 0.9
"""Share of the free memory that weights may take."""


def bundled_models() -> dict[str, Path]:
    """Return the models that come with Inlook, by name."""
    if not BUNDLED.is_dir():
        return {}
    return {path.parent.name: path.parent for path in sorted(BUNDLED.glob("*/config.json"))}


def load_model(
    name: str, *, dtype: torch.dtype | None = None, device: str | None = None
) -> HookedModel:
    """Load a model and its tokenizer, ready to be traced.

    Safetensors only, and never code from a repository.

    Args:
        name: A bundled name such as `storyteller`, a local directory or a Hub id.
        dtype: Number format of the weights; by default float32 on a CPU if it fits, else
            bfloat16; on CUDA and MPS the checkpoint's own.
        device: `cuda`, `mps` or `cpu`; by default the best there is that has room.

    Raises:
        ModelNotFoundError: Nothing has that name, or the Hub cannot be reached.
        NotCausalError: It is not a causal language model.
        BrokenModelError: Files are damaged, incomplete or not safetensors.
        ModelTooLargeError: The weights do not fit into the free memory.
        NotRecordableError: The model has no attention.
    """
    name = str(name).strip()
    if not name:
        raise ModelNotFoundError("No model is named: type a folder or a Hub id such as gpt2.")
    source = _resolve(name)
    config = _load_config(name, source)
    _check_causal(name, config)
    size = _weight_bytes(name, source)
    device, dtype = _place(name, config, size, device, dtype)
    model = _load_weights(name, source, config, dtype, device)
    return HookedModel.wrap(model, _load_tokenizer(name, source), name)


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load a tokenizer alone; any kind of model will do, and no weights are read.

    Args:
        name: A bundled name such as `storyteller`, a local directory or a Hub id.

    Raises:
        ModelNotFoundError: Nothing has that name, or the Hub cannot be reached.
        BrokenModelError: There is no tokenizer, or its files are damaged.
    """
    name = str(name).strip()
    if not name:
        raise ModelNotFoundError("No tokenizer is named: type a folder or a Hub id such as gpt2.")
    source = _resolve(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except Exception as error:
        explained = _explain(name, source, error)
        if "trust_remote_code" not in str(error) and (
            os.path.isdir(source) or "backend tokenizer" in str(error)
        ):
            explained = _no_tokenizer(name)
        raise explained from error
    if len(tokenizer) <= len(tokenizer.added_tokens_decoder):  # made up, for want of files
        raise _no_tokenizer(name)
    return tokenizer


def _resolve(name: str) -> str:
    """Turn a bundled name or a directory into a path; leave a Hub id as it is."""
    if name in (bundled := bundled_models()):
        return str(bundled[name])
    try:
        path = Path(name).expanduser()
        if path.is_dir():
            return str(path)
    except (OSError, ValueError, RuntimeError):  # too long, a NUL in it, no such home
        pass
    try:
        validate_repo_id(name)
    except HFValidationError:
        shown = name if len(name) <= 80 else f"{name[:80]}…"
        raise ModelNotFoundError(
            f"There is no folder {shown!r}, and it is no Hub id either: check the spelling."
        ) from None
    return name


def _load_config(name: str, source: str) -> PreTrainedConfig:
    if os.path.isdir(source) and not os.path.exists(os.path.join(source, "config.json")):
        raise ModelNotFoundError(
            f"{name} has no config.json: choose a folder that holds a Hugging Face model."
        )
    try:
        return AutoConfig.from_pretrained(source, trust_remote_code=False)
    except Exception as error:
        raise _explain(name, source, error) from error


def _check_causal(name: str, config: PreTrainedConfig) -> None:
    family = config.model_type
    causal_class = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.get(family)
    encoder = family in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    named = getattr(config, "architectures", None) or []
    if causal_class is None or (
        encoder and causal_class not in named and not getattr(config, "is_decoder", False)
    ):
        what = f"a {named[0]}" if named else f"of the type {family}"
        raise NotCausalError(
            f"{name} is {what}, not a causal language model: choose one that writes text, such as "
            "GPT-2 or Llama."
        )


def _weight_bytes(name: str, source: str) -> int | None:
    """Return the size of the safetensors files; None if the Hub does not tell.

    Raises:
        BrokenModelError: There are weights, but none in safetensors format.
    """
    if os.path.isdir(source):
        sizes = {path.name: path.stat().st_size for path in Path(source).iterdir()}
    else:
        try:
            files = HfApi().model_info(source, files_metadata=True).siblings or []
            sizes = {file.rfilename: file.size or 0 for file in files}
        except Exception:
            return None
    safe = sum(size for file, size in sizes.items() if file.endswith(".safetensors"))
    if safe:
        return safe
    if any(file.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl")) for file in sizes):
        raise BrokenModelError(
            f"{name} has its weights only as pickle files, which can run code when opened: "
            "convert them to safetensors first."
        )
    raise BrokenModelError(f"{name} has no weights: there is no .safetensors file in it.")


def _place(
    name: str,
    config: PreTrainedConfig,
    size: int | None,
    device: str | None,
    dtype: torch.dtype | None,
) -> tuple[str, torch.dtype]:
    """Choose device and dtype so that the weights fit.

    Raises:
        ModelTooLargeError: Nothing fits.
    """
    stored = config.dtype if isinstance(config.dtype, torch.dtype) else torch.float32
    n_weights = None if size is None else size / stored.itemsize
    missing: list[tuple[float, float]] = []
    for candidate in [device] if device else _devices():
        free = free_bytes(candidate)
        for number in [dtype] if dtype else _dtypes(candidate, stored):
            if n_weights is None or n_weights * number.itemsize <= MEMORY_SHARE * free:
                return candidate, number
            missing.append((n_weights * number.itemsize, free))
    needed, free = min(missing)
    raise ModelTooLargeError(
        f"{name} needs about {needed / 1e9:.1f} GB for its weights, but only "
        f"{free / 1e9:.1f} GB of memory are free: choose a smaller model."
    )


def _devices() -> list[str]:
    found = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def _dtypes(device: str, stored: torch.dtype) -> list[torch.dtype]:
    if device == "cpu":
        return [torch.float32, torch.bfloat16]
    return [stored, torch.bfloat16] if stored.itemsize > 2 else [stored]


def free_bytes(device: str) -> float:
    """Return the bytes of memory that are free on a device, within a container's limit."""
    if device.startswith("cuda"):
        return float(torch.cuda.mem_get_info(device)[0])
    return float(min(psutil.virtual_memory().available, _cgroup_free()))


def _cgroup_free() -> float:
    """Return what a container's own limit leaves free, infinity without one."""
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text().strip()
        return float("inf") if limit == "max" else float(int(limit) - int(used))
    except (OSError, ValueError):
        return float("inf")


def _load_weights(
    name: str, source: str, config: PreTrainedConfig, dtype: torch.dtype, device: str
) -> PreTrainedModel:
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:
        raise _explain(name, source, error) from error
    model, report = loaded
    missing = sorted(report.get("missing_keys", ()))
    mismatched = list(report.get("mismatched_keys", ()))
    if missing or mismatched:
        example = missing[0] if missing else mismatched[0]
        raise BrokenModelError(
            f"{name} lacks {len(missing) + len(mismatched)} of its weights (such as {example}): "
            "the checkpoint is incomplete or of another kind of model."
        )
    return model.to(device)


def _load_tokenizer(name: str, source: str) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except Exception as error:
        raise _no_tokenizer(name) from error


def _no_tokenizer(name: str) -> BrokenModelError:
    return BrokenModelError(
        f"{name} has no tokenizer that can be read: its tokenizer.json is missing or damaged."
    )


def _explain(name: str, source: str, error: Exception) -> ModelError:
    """Turn a loader's exception into one sentence."""
    text = str(error)
    local = os.path.isdir(source)
    if "gated" in text.lower() or "401" in text or "403" in text:
        return ModelNotFoundError(
            f"{name} is gated or private: log in with `hf auth login` after its owner let you in."
        )
    if "trust_remote_code" in text:
        return BrokenModelError(
            f"{name} needs code from its repository, which Inlook never runs: choose a model that "
            "transformers supports itself."
        )
    if isinstance(error, MemoryError) or "not enough memory" in text or "out of memory" in text:
        return ModelTooLargeError(f"{name} does not fit into memory: choose a smaller model.")
    if local and ("model type" in text or "architecture" in text or "model_type" in text):
        return NotCausalError(
            f"{name} is of a kind that this version of transformers does not know."
        )
    if local:
        return BrokenModelError(
            f"The files of {name} are damaged or incomplete: copy or download the model again."
        )
    if "offline" in text.lower() or "connect" in text.lower() or "resolve" in text.lower():
        return ModelNotFoundError(
            f"{name} is not on this computer and the Hugging Face Hub cannot be reached: check "
            "the name and the connection, or choose a bundled model."
        )
    return ModelNotFoundError(
        f"There is no model called {name}, neither bundled nor on the Hugging Face Hub: check "
        "the spelling."
    )


transformers_logging.disable_progress_bar()

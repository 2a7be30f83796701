"""How does a causal LM get loaded, by bundled name, folder or Hub id, and if it does not, why?"""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch
from transformers import (
    AutoConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from model_hooks.errors import (
    BrokenModelError,
    InlookError,
    ModelNotFoundError,
    ModelTooLargeError,
)
from model_hooks.model import HookedModel
from model_hooks.opening.adapters import (
    Adapter,
    merged,
    own_tokenizer,
    plain_folder,
    read_adapter,
)
from model_hooks.opening.allowed import check_allowed
from model_hooks.opening.alone import building
from model_hooks.opening.bounds import few_parts
from model_hooks.opening.compared import check_loaded, let_go_of_files, load_checked
from model_hooks.opening.families import check_causal, opener
from model_hooks.opening.files import (
    Weights,
    check_files,
    check_layer_counts,
    read_config,
    read_weights,
    weight_files,
)
from model_hooks.opening.find import Listed, fetched_folder, fetched_gguf, local_folder
from model_hooks.opening.gguf_files import is_gguf, read_gguf, split_name
from model_hooks.opening.installed import installed_models
from model_hooks.opening.names import WITHOUT, with_adapter
from model_hooks.opening.reasons import explain, reason
from model_hooks.opening.tokenizer import check_fits, gguf_tokenizer, open_tokenizer
from model_hooks.opening.unpacked import unpacked

BUNDLED = Path(__file__).resolve().parents[1] / "models"
MEMORY_SHARE = 0.9
"""Share of the free memory that weights may take."""
MOST_BEYOND_FILE = 2.5
"""How many times the numbers in its files a model may have: tied embeddings are counted twice."""


class Need(NamedTuple):
    """What a model's weights are, before they are opened."""

    n_weights: float
    """Numbers, the larger of what the config describes and what the files hold."""
    stored: torch.dtype
    """The format that they are in, by the config."""
    n_bytes: int | None
    """Where the format is not Inlook's to choose (a quantised checkpoint): what they take."""


def bundled_models() -> dict[str, Path]:
    """Return the models that come with Inlook, by name."""
    if not BUNDLED.is_dir():
        return {}
    return {path.parent.name: path.parent for path in sorted(BUNDLED.glob("*/config.json"))}


def bundled_adapters() -> dict[str, Path]:
    """Return the adapters that come with Inlook, by name; each is for one of its models."""
    if not BUNDLED.is_dir():
        return {}
    return {path.parent.name: path.parent for path in sorted(BUNDLED.glob("*/adapter_config.json"))}


def load_model(
    name: str, *, dtype: torch.dtype | None = None, device: str | None = None
) -> HookedModel:
    """Load a model and its tokenizer, ready to be traced.

    Safetensors only, and never code from a repository. Many threads may load at once: models are
    built one after the other.

    Args:
        name: A bundled name such as `storyteller`, a local directory, a GGUF file, a Hub id, or a
            Hub id and a GGUF file in it (`org/model:model.Q4_0.gguf`).
        dtype: Number format of the weights; by default float32 on a CPU if it fits, else
            bfloat16; on CUDA and MPS, and where they are quantised, the checkpoint's own.
        device: `cuda`, `mps` or `cpu`; by default the best there is that has room.

    Raises:
        ModelNotFoundError: Nothing has that name, or the Hub cannot be reached.
        NotCausalError: It is not a causal language model.
        BrokenModelError: Files are damaged, incomplete or not safetensors, are of two models, or
            need a package that is not installed.
        ModelTooLargeError: The weights do not fit into the free memory.
        NotRecordableError: The model has no attention.
    """
    name = str(name).strip()
    if not name:
        raise ModelNotFoundError("No model is named: type a folder or a Hub id such as gpt2.")
    check_allowed(name)
    folder = _found(with_adapter(name), weights=True)
    adapter = read_adapter(name, folder)
    if adapter is not None:
        folder = _base_of(name, adapter)
    with building:
        try:
            with plain_folder(folder) as plain:
                return _open(name, plain, adapter, dtype, device)
        except InlookError:
            raise
        except Exception as error:
            raise explain(name, folder, error) from error


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
    check_allowed(name)
    folder = _found(with_adapter(name), weights=False)
    if (adapter := read_adapter(name, folder)) is not None and not own_tokenizer(adapter):
        folder = _base_of(name, adapter)
    with building:
        try:
            if is_gguf(folder):
                return gguf_tokenizer(name, folder)
            check_files(name, folder)
            return open_tokenizer(name, folder)
        except InlookError:
            raise
        except Exception as error:
            raise explain(name, folder, error) from error


def _found(name: str, *, weights: bool) -> Path:
    """Return the folder, or the GGUF file, of a bundled name, a path or a Hub id."""

    def check(listed: Listed) -> None:
        _check_listed(name, listed)

    at_hand = bundled_models() | bundled_adapters() | installed_models()
    if name in at_hand:
        return at_hand[name]
    if parts := split_name(name):
        return fetched_gguf(*parts, check)
    return local_folder(name) or fetched_folder(name, weights=weights, check=check)


def _base_of(name: str, adapter: Adapter) -> Path:
    """Return where the model is that an adapter changes.

    Raises:
        ModelNotFoundError: It is not there, or is an adapter itself.
    """
    if Path(adapter.base) == adapter.folder:
        return adapter.folder
    try:
        base = _found(adapter.base, weights=True)
    except ModelNotFoundError as error:
        raise ModelNotFoundError(
            f"{name} is an adapter ({adapter.kind}) for another model, {adapter.base}, which is "
            f"needed too: {str(error)[:1].lower() + str(error)[1:]}"
        ) from error
    if read_adapter(name, base) is not None:
        raise ModelNotFoundError(
            f"{name} is an adapter for {adapter.base}, which is an adapter itself: merge one of "
            "them first."
        )
    return base


def _open(
    name: str,
    place: Path,
    adapter: Adapter | None,
    dtype: torch.dtype | None,
    device: str | None,
) -> HookedModel:
    """Open a folder or a GGUF file, with an adapter in it if there is one."""
    file = read_gguf(name, place) if is_gguf(place) else None
    room = MEMORY_SHARE * free_bytes("cpu")
    folder = unpacked(name, place, file, room) if file is not None else place
    check_files(name, folder)
    said = read_config(name, folder)
    check_causal(name, said)
    files = weight_files(name, folder)
    weights = read_weights(name, files)
    check_layer_counts(name, said, weights.n_tensors)
    config = _load_config(name, folder)
    skeleton = _skeleton(name, config, weights.n_tensors)
    need = _need(name, config, weights, skeleton)
    device, dtype = _place(name, need, device, dtype)
    has_words = adapter is not None and own_tokenizer(adapter)
    tokenizer = open_tokenizer(name, adapter.folder if adapter and has_words else folder)
    if n_rows := _n_rows(skeleton):
        check_fits(name, tokenizer, n_rows)
    model = _load_weights(name, folder, config, dtype, device)
    check_loaded(name, files, model)
    let_go_of_files(model)
    if adapter is not None and not name.endswith(WITHOUT):
        model = merged(name, adapter, model)
    hooked = _wrapped(name, folder, model, tokenizer)
    hooked.info = replace(
        hooked.info,
        quantisation=file.quantisation if file is not None and file.is_quantised else None,
        adapter=adapter and adapter.kind,
    )
    return hooked


def _wrapped(
    name: str, folder: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> HookedModel:
    try:
        return HookedModel.wrap(model, tokenizer, name)
    except Exception as error:
        if key := _not_a_number(model):
            raise BrokenModelError(
                f"{name} computes values that are not numbers: its weights hold NaN (first in "
                f"{key}), as a training that diverged leaves them."
            ) from error
        if isinstance(error, InlookError):
            raise
        raise BrokenModelError(
            f"{name} loads, but does not run here: {reason(error, folder)}."
        ) from error


def _load_config(name: str, folder: Path) -> PreTrainedConfig:
    try:
        return AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:
        raise BrokenModelError(
            f"transformers refuses the config.json of {name}: {reason(error, folder)}."
        ) from error


def _need(
    name: str, config: PreTrainedConfig, weights: Weights, skeleton: PreTrainedModel | None
) -> Need:
    """Return what the weights are, having compared the config with the files.

    Raises:
        BrokenModelError: The config describes a much larger model than the files hold.
    """
    stored = config.dtype if isinstance(config.dtype, torch.dtype) else torch.float32
    quantised = getattr(config, "quantization_config", None) is not None
    described = sum(p.numel() for p in skeleton.parameters()) if skeleton is not None else 0
    # Quantised weights are packed: up to eight of one bit in a byte.
    held = 8 * weights.n_bytes if quantised else weights.n_weights
    if described > MOST_BEYOND_FILE * max(held, 1):
        raise BrokenModelError(
            f"The config.json of {name} describes another model than its weights: one of "
            f"{described:,} numbers, but the files hold {weights.n_weights:,}."
        )
    n_weights = max(described, weights.n_weights)
    return Need(n_weights, stored, weights.n_bytes if quantised else None)


def _skeleton(name: str, config: PreTrainedConfig, n_tensors: int) -> PreTrainedModel | None:
    """Build a config's model without memory for its weights.

    Returns:
        None where that fails; loading it will then say why.

    Raises:
        BrokenModelError: It has many more parameters than the weight files have tensors.
    """
    try:
        with torch.device("meta"), few_parts(name, n_tensors):
            return opener(config.model_type).from_config(
                copy.deepcopy(config), dtype=torch.float32, trust_remote_code=False
            )
    except BrokenModelError:
        raise
    except Exception:
        return None


def _n_rows(skeleton: PreTrainedModel | None) -> int | None:
    """Return how many token IDs the embedding has; None where there is no plain one."""
    try:
        weight = skeleton.get_input_embeddings().weight if skeleton is not None else None
    except (AttributeError, NotImplementedError):
        return None
    return len(weight) if isinstance(weight, torch.Tensor) else None


def _check_listed(name: str, listed: Listed) -> None:
    """Refuse to fetch weights that could not be opened anyway.

    Raises:
        ModelTooLargeError: Neither as they are nor in two bytes each would they fit anywhere.
    """
    room = max(map(free_bytes, _devices()))
    needed = listed.n_bytes
    if listed.n_weights is not None:
        needed = min(needed, 2 * listed.n_weights)
    if needed > MEMORY_SHARE * room:
        raise _too_large(name, needed, room)


def _place(
    name: str, need: Need, device: str | None, dtype: torch.dtype | None
) -> tuple[str, torch.dtype]:
    """Choose device and dtype so that the weights fit.

    Raises:
        ModelTooLargeError: Nothing fits.
    """
    missing: list[tuple[float, float]] = []
    for candidate in [device] if device else _devices():
        free = free_bytes(candidate)
        for number in [dtype] if dtype else _dtypes(candidate, need):
            taken = need.n_bytes or need.n_weights * number.itemsize
            if taken <= MEMORY_SHARE * free:
                return candidate, number
            missing.append((taken, free))
    raise _too_large(name, *min(missing))


def _too_large(name: str, needed: float, free: float) -> ModelTooLargeError:
    return ModelTooLargeError(
        f"{name} needs about {needed / 1e9:.1f} GB for its weights, but only "
        f"{free / 1e9:.1f} GB of memory are free: choose a smaller model."
    )


def _devices() -> list[str]:
    found = ["cuda"] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def _dtypes(device: str, need: Need) -> list[torch.dtype]:
    if need.n_bytes is not None:
        return [need.stored]
    if device == "cpu":
        return [torch.float32, torch.bfloat16]
    return [need.stored, torch.bfloat16] if need.stored.itemsize > 2 else [need.stored]


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
    name: str, folder: Path, config: PreTrainedConfig, dtype: torch.dtype, device: str
) -> PreTrainedModel:
    model: Any = load_checked(name, folder, config=config, dtype=dtype, use_safetensors=True)
    return model.to(device)


def _not_a_number(model: PreTrainedModel) -> str | None:
    """Return the first parameter that holds NaN."""
    for key, parameter in model.named_parameters():
        if parameter.is_floating_point() and parameter.float().isnan().any():
            return key
    return None


transformers_logging.disable_progress_bar()

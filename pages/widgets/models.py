"""Which models can be looked into? Those that came along, by size, and one's own by its name."""

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from model_hooks import ModelInfo
from model_hooks.bundled import BundledModel, models_at_hand
from model_hooks.opening.gguf_files import bits_per_weight
from model_hooks.opening.installed import packaged
from model_hooks.opening.names import meant_by, short_name, with_adapter, without_adapter
from pages.server.settings import settings
from pages.state.kept import Kept
from pages.state.mailbox import reported
from pages.state.visit import put
from pages.text import escape_markdown
from viz.numbers import three_digits

OPENED = Kept[tuple[str, ...]]("own_models")
"""Models that this visitor has opened and that are not offered to all."""


def size_of(model: BundledModel) -> str:
    """Write a model's size: parameters in millions, and bytes on disk."""
    return f"{model.n_parameters / 1e6:.1f}M, {model.n_bytes / 1e6:.0f} MB"


def offered_models() -> list[str]:
    """Name the models to choose from: those that came along, and those that the server adds."""
    bundled, listed = [model.name for model in models_at_hand()], settings().models
    if listed is None:
        return bundled
    return [name for name in bundled if name in listed] + [n for n in listed if n not in bundled]


def remember_own(name: str) -> None:
    """Keep a model that was opened and is not offered in this visitor's list."""
    own = OPENED.get() or ()
    if name not in (*offered_models(), *own):
        OPENED.put((*own, name))


def own_models(current: str) -> list[str]:
    """Name the models of this visitor's own, the current one too."""
    own = [*(OPENED.get() or ()), current]
    return [name for name in dict.fromkeys(own) if name not in offered_models()]


def told_apart(names: Sequence[str]) -> dict[str, str]:
    """Return a short label for each of some models; all of its name where two would be alike."""
    short = {name: short_name(name) for name in names}
    often = Counter(short.values())
    return {name: label if often[label] == 1 else name for name, label in short.items()}


def takes_any_model() -> bool:
    """Tell whether a model may be named that is not offered."""
    return settings().models is None


def own_model_box(key: str) -> None:
    """Draw a box that takes a model's folder or name and opens it, where that is allowed."""
    if not takes_any_model():
        st.markdown("This server opens its own models only. On your computer Inlook opens any.")
        return

    def open_it() -> None:
        if name := meant_by(reported(key) or ""):
            put(model=name)

    # In a form, Enter opens what is written there, whether it was opened before or not.
    form = st.form(f"{key}.form", border=False, enter_to_submit=True)
    form.text_input(
        "Folder or Hub id",
        key=key,
        placeholder="openai-community/gpt2",
        help="A folder with a causal language model in Hugging Face format or an adapter for one "
        "(LoRA), a GGUF file, or the "
        "name of one on the Hugging Face Hub (downloaded once); a GGUF file there is "
        "`name:file.gguf`. A page's address there will do. Safetensors and GGUF only.",
    )
    form.form_submit_button("Open", on_click=open_it)


def bundled_model_menu(key: str) -> None:
    """Draw a menu that opens one of the models that came along."""

    def open_it() -> None:
        if name := reported(key):
            put(model=name)

    st.menu_button("One that came along", offered_models(), key=key, on_click=open_it)


def where_from(of: ModelInfo) -> str:
    """Say where a model's numbers come from, if that needs saying (Markdown); else nothing."""
    said = []
    if (model := packaged(of.name)) is not None:
        said.append(
            f"From the package {model.package} {model.version}, licence {model.licence} "
            f"([source]({model.source}))."
        )
    if of.quantisation is not None:
        said.append(
            f"All numbers are those of the {three_digits(bits_per_weight(of.quantisation))} bits "
            f"({of.quantisation}) that this file keeps of each weight, turned back into "
            f"{of.dtype}: not quite those of the original model."
        )
    return " ".join(said)


def adapter_switch(of: ModelInfo) -> None:
    """Draw what takes an adapter off its model and puts it on again, where there is one."""
    if of.adapter is None:
        return
    on = with_adapter(of.name) == of.name

    def change() -> None:
        put(model=without_adapter(of.name) if on else with_adapter(of.name))

    st.toggle(
        f"With its adapter ({escape_markdown(of.adapter)})",
        on,
        key=f"adapter.{of.name}",
        help="An adapter is a small change of some weights, trained on its own. Switch it off to "
        "see the model that it sits on; the prompt stays.",
        on_change=change,
    )

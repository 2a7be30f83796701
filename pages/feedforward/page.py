"""Feedforward: where does the model keep what it knows?"""

from functools import partial

import streamlit as st

from model_hooks import ComparisonError, InlookError, bundled_models
from model_hooks.arrays import log_softmax
from model_hooks.host import Run
from model_hooks.opening.installed import SMOLLM2
from model_hooks.parts.abilities import Abilities
from model_hooks.read.recorded import abilities_of
from model_hooks.read.tail import logits_after
from pages.ask.computed import computed
from pages.ask.pair import has_pair, is_one_vocabulary
from pages.ask.session import info, run, tokens_of_run
from pages.feedforward import activation, between, experts, neurons, steps, switched_off
from pages.feedforward.choices import Tab
from pages.feedforward.scene import Scene
from pages.state.visit import is_of_other, put, view
from pages.text import escape_markdown
from pages.widgets.bind import tabs
from pages.widgets.compared import draw_between, draw_each
from pages.widgets.controls import current_position, pick_position
from pages.widgets.fragment import fragment
from pages.widgets.heading import page_title
from pages.widgets.next_pages import try_next
from pages.widgets.words import pick_word, token_name

SHAWSHANK = "The Shawshank"
FRANCE = "The capital of France is"
TABS: dict[Tab, str] = {
    "experts": "The router's choice",
    "neurons": "The neurons",
    "activation": "The activation function",
    "off": "Switch it off",
}
NEXT_PAGES = {
    "layers": "**Layers**: both halves, layer by layer",
    "attention": "**Attention**: what each token gathers first",
    "block_architecture": "**Block architecture**: then and now",
}

_abilities = computed(abilities_of)
_logits = computed(logits_after)


def draw() -> None:
    """Draw the page."""
    page_title("Feedforward")
    st.markdown(
        "**Where does the model keep what it knows?** Much of it lies in the feedforward of each "
        "layer: hundreds of small pattern detectors, the neurons, that work on every token alone "
        "and push the prediction towards some words."
    )
    _explore(run(), tokens_of_run())
    try_next(
        NEXT_PAGES,
        "Type a word that the model did *not* choose: which feedforward holds it down?",
        "Choose an earlier token: every token has its own prediction, and its own neurons.",
    )


def fact_of(model_name: str) -> tuple[str, str] | None:
    """Return a prompt that asks for a fact which a model knows, and what to look for."""
    if model_name in bundled_models():
        return SHAWSHANK, "which layer knows the film?"
    return (FRANCE, "which layer knows the city?") if model_name == SMOLLM2.name else None


@fragment
def _explore(asked: Run, tokens: tuple[str, ...]) -> None:
    """Draw everything below the question; a click reruns nothing else."""
    pos = current_position(len(tokens))
    answer = st.container(key="answer")
    by_number, words = st.columns([1, 2], vertical_alignment="bottom")
    with by_number:
        pick_position(tokens, label="Token to look at")
    try:
        output = log_softmax(_logits(*asked, pos))
    except InlookError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    with words:
        word = pick_word(output, "feedforward.word", label="Next word to follow")
    abilities = _abilities(asked.model_name)
    scene = Scene(asked, info(), abilities, tokens, pos, word, token_name(word))

    def draw_steps() -> int:
        return steps.draw(_scene(scene), st.container() if has_pair() else answer)

    layer = draw_each(draw_steps)
    draw_between(lambda: between.draw(scene))
    _offer_fact()
    _draw_tabs(scene, layer)


def _scene(own: Scene) -> Scene:
    """Return what is looked at: the visitor's own scene, or the same of the pinned run."""
    if not is_of_other():
        return own
    asked, tokens = run(), tokens_of_run()
    pos, word = current_position(len(tokens)), own.word
    if not is_one_vocabulary():
        word = pick_word(log_softmax(_logits(*asked, pos)), "feedforward.word")
    of_a = _abilities(asked.model_name)
    return Scene(asked, info(), of_a, tokens, pos, word, token_name(word))


def _offer_fact() -> None:
    """Offer a prompt that asks for a fact, unless it is there already."""
    if (fact := fact_of(view().model)) is not None and view().prompt.strip() != fact[0]:
        prompt, asks = fact
        st.button(
            f"Try “{prompt}”: {asks}",
            icon=":material/lightbulb:",
            key="feedforward_fact",
            on_click=put,
            kwargs={"prompt": prompt, "pos": None},
        )


def _draw_tabs(scene: Scene, layer: int) -> None:
    """Draw what can be asked about one layer; of the tabs, the open one is filled."""
    names = tabs_of(scene.abilities)
    for name, tab in zip(
        names, tabs("feedforward.tab", names, labels=[TABS[name] for name in names]), strict=True
    ):
        if not tab.open:
            continue
        with tab:
            draw_each(partial(_draw_tab, name, scene, layer), wide=True)


def _draw_tab(name: Tab, own: Scene, layer: int) -> None:
    """Draw what a tab shows of the run that is looked at."""
    scene = _scene(own)
    if is_of_other():
        if name not in tabs_of(scene.abilities):
            raise ComparisonError("A has no router that would choose among experts.")
        layer = min(layer, scene.info.n_layers - 1)
    if name == "neurons":
        neurons.draw(scene, layer)
    elif name == "activation":
        activation.draw(scene, layer)
    elif name == "off":
        switched_off.draw(scene, layer)
    else:
        experts.draw(scene, layer)


def tabs_of(abilities: Abilities) -> list[Tab]:
    """Return which tabs a model has: a mixture of experts begins with its routers' choice."""
    if any(layer.router_path is not None for layer in abilities.layers):
        return ["experts", "off", "neurons", "activation"]
    return ["neurons", "activation", "off"]

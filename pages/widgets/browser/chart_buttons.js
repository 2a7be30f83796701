// How are the buttons of a chart reached by keys? Together they are one tab stop, and arrows lead on.
import { focusable } from "./chips.js";
import { moved } from "./keys.js";

const ALONG = { ArrowLeft: -1, ArrowRight: 1 };

export function hearKeys(box) {
  box.addEventListener("keydown", (event) => {
    const buttons = buttonsOf(box);
    const from = buttons.indexOf(event.target);
    const to = from < 0 ? null : moved(event.key, from, buttons.length, ALONG);
    if (to === null) return;
    focusable(buttons, buttons[to]);
    buttons[to].focus();
    event.preventDefault();
    event.stopPropagation();
  });
}

// To be called whenever the chart was drawn, as its buttons may be new.
export function oneStop(box) {
  const buttons = buttonsOf(box);
  if (!buttons.length) return;
  box.querySelector(".modebar").setAttribute("aria-label", "Save or enlarge this chart");
  focusable(buttons, buttons.find((one) => one.getAttribute("tabindex") === "0") ?? buttons[0]);
}

function buttonsOf(box) {
  return [...box.querySelectorAll(".modebar-btn")];
}

// The keys of every page that are about the window: the steps of a lesson, the full screen, and the view for
// a projector. And Escape closes a dialog wherever the focus went.
import { isTyping } from "./keys.js";

// What a key asks for; null for none. The keys of a remote control turn pages at the projector alone.
export function wish({ key, shiftKey, ctrlKey, metaKey, altKey, repeat }, presents) {
  if (ctrlKey || metaKey || altKey || repeat) return null;
  if (presents && key === "PageDown") return "next";
  if (presents && key === "PageUp") return "back";
  const letter = key.toLowerCase();
  if (letter === "l") return shiftKey ? "back" : "next";
  if (shiftKey) return null;
  return { f: "full", p: "present" }[letter] ?? null;
}

const BUTTONS = {
  next: ".st-key-lesson-next button, .st-key-lesson-finish button",
  back: ".st-key-lesson-back button",
};

function press(selector) {
  const found = [...document.querySelectorAll(selector)].find((one) => !one.disabled);
  found?.click();
  return found !== undefined;
}

function switchFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.();
}

// A dialog hears Escape itself as long as the focus is in it; a download takes it out.
function closeDialog(event) {
  if (event.key !== "Escape" || event.target !== document.body) return;
  press('[role=dialog] button[aria-label="Close"]');
}

export default function ({ data, parentElement, setTriggerValue }) {
  const hear = (event) => {
    closeDialog(event);
    if (!data.keys || isTyping(event) || document.querySelector("[role=dialog]")) return;
    const wanted = wish(event, data.present);
    if (wanted === null) return;
    if (wanted === "full") switchFullScreen();
    else if (wanted === "present") setTriggerValue("present", !data.present);
    else if (!press(BUTTONS[wanted])) return;
    event.preventDefault();
  };
  parentElement.inlookHears?.();
  document.addEventListener("keydown", hear);
  const stop = () => document.removeEventListener("keydown", hear);
  parentElement.inlookHears = stop;
  return stop;
}

// A text that grows, as tokens to choose from; its prompt to edit; and the keys that write it on.
import { focusable, letters, named, reveal } from "./chips.js";
import { element } from "./dom.js";
import { isTyping, moved } from "./keys.js";

const bars = new WeakMap();
const MOST_KEYS = 64;
const HELD_MS = 3000; // so long a key waits for a strip that is built anew
const SIDEWAYS = { ArrowRight: 1, ArrowLeft: -1 };

export default function ({ data, parentElement, setTriggerValue, setStateValue }) {
  let bar = bars.get(parentElement);
  const isNew = !bar;
  if (isNew) {
    bar = build(parentElement, data.n_seen);
    bars.set(parentElement, bar);
    window.inlookStrips = (window.inlookStrips ?? 0) + 1;
  }
  bar.pickToken = (pos) => setTriggerValue("picked", pos);
  bar.takePrompt = (prompt) => setTriggerValue("prompt", prompt);
  bar.tellKeys = () => setStateValue("keys", { n: bar.nKeys, log: bar.log });
  show(bar, data);
  if (isNew) for (const said of released()) tell(bar, said);
  return () => {
    document.removeEventListener("keydown", bar.onKey);
    window.inlookStrips -= 1;
    if (!window.inlookStrips) hold(bar);
    document.removeEventListener("click", bar.onClick, true);
    bars.delete(parentElement);
    bar.root.remove();
  };
}

// The command that a key stands for; null for none. Where something is typed, letters are letters.
export function command({ key, shiftKey, ctrlKey, metaKey, altKey, repeat }, typing) {
  if (typing || ctrlKey || metaKey || altKey || repeat) return null;
  if (shiftKey) return key === "B" ? "R" : null;
  return { n: "N", b: "B", g: "G", e: "E" }[key.toLowerCase()] ?? null;
}

// The command of the button that was clicked, of those that stand for one; null for any other place.
export function buttonCommand(path, buttons) {
  for (const [key, said] of Object.entries(buttons)) {
    const within = path.findIndex((at) => at.classList?.contains(`st-key-${key}`));
    const inside = path.slice(0, Math.max(0, within));
    if (inside.some((at) => at.localName === "button" && !at.disabled)) return said;
  }
  return null;
}

// What a screen reader is told of a text that was `before` tokens long: what is new at its end.
export function news(tokens, first, before) {
  const added = tokens.slice(Math.max(0, before - first)).join("");
  return added.replaceAll("·", " ").replaceAll(/[↵⇥]/g, " ").trim();
}

function build(parentElement, nSeen) {
  const bar = { nKeys: nSeen, log: "", chips: [] };
  bar.root = element("div", "bar");
  bar.text = element("div", "text");
  bar.text.setAttribute("role", "listbox");
  bar.text.setAttribute("aria-label", "The text: prompt, written tokens and the next token");
  bar.edit = button("edit", "✎ Edit", "Edit the prompt (key E)", () => openEditor(bar));
  bar.more = button("more", "▾", "Show all of the text and its buttons", () => unfold(bar));
  bar.live = element("div", "live");
  bar.live.setAttribute("aria-live", "polite");
  bar.root.append(bar.text, bar.edit, bar.more, bar.live);
  parentElement.append(bar.root);
  const posOf = (event) => Number(event.target.closest(".token")?.dataset.pos ?? -1);
  bar.text.addEventListener("click", (event) => choose(bar, posOf(event)));
  bar.text.addEventListener("keydown", (event) => walk(bar, posOf(event), event));
  bar.onKey = (event) => heard(bar, event);
  document.addEventListener("keydown", bar.onKey);
  bar.onClick = (event) => clicked(bar, event);
  document.addEventListener("click", bar.onClick, true);
  return bar;
}

function button(className, text, label, onClick) {
  const made = element("button", className, text);
  made.type = "button";
  made.title = label;
  made.setAttribute("aria-label", label);
  made.addEventListener("click", onClick);
  return made;
}

function show(bar, data) {
  // A strip may be built while keys that another one told are on their way: they are not told again, nor hidden.
  bar.nKeys = Math.max(bar.nKeys, data.n_seen);
  const grew = bar.data?.prompt === data.prompt && data.n_tokens > bar.data.n_tokens;
  if (grew) bar.live.textContent = news(data.tokens, data.first, bar.data.n_tokens);
  bar.data = data;
  const content = JSON.stringify([
    data.tokens,
    data.first,
    data.n_prompt,
    data.next,
    data.speakers,
    data.folds,
  ]);
  if (bar.content !== content) {
    bar.content = content;
    bar.chips = chipsOf(data);
    const plain = element("span", "plain", data.prompt.slice(0, 400) || "No prompt yet");
    bar.text.replaceChildren(...(data.n_tokens ? bar.chips : [plain]));
    mark(bar, bar.selected);
    if (grew) requestAnimationFrame(() => bar.text.scrollTo(0, bar.text.scrollHeight));
  }
  if (bar.n_sent !== data.n_sent) {
    bar.n_sent = data.n_sent;
    mark(bar, data.selected);
  }
}

function chipsOf({ tokens, first, n_prompt, n_tokens, next, speakers = [], folds = false }) {
  const chips = tokens.map((token, i) => chip(token, first + i, first + i >= n_prompt));
  speakers.forEach((speaker, i) => {
    chips[i]?.classList.add(`by-${speaker || "template"}`);
    const said = speaker ? `said by ${speaker}` : "written by the chat template";
    if (!chips[i]) return;
    chips[i].title += `, ${said}`;
    chips[i].setAttribute("aria-label", chips[i].title);
  });
  for (const [from, to] of folds ? foldsOf(speakers) : []) {
    chips[from].dataset.folds = to - from;
    const within = tokens.slice(from, to).join("");
    chips[from].dataset.told = `${to - from} tokens of the chat template, folded: ${within}`;
    for (const made of chips.slice(from + 1, to)) made.dataset.folded = "";
  }
  if (first > 0) chips[0]?.classList.add("cut");
  if (!next || first + tokens.length < n_tokens) return chips;
  const last = chip(next[0], n_tokens, false);
  last.classList.add("next");
  last.append(element("span", "share", next[1]));
  named(last, `next: ${next[0]}, ${next[1]}`);
  return [...chips, last];
}

// Where tokens that are nobody's words stand together, two or more: first and one beyond the last.
export function foldsOf(speakers) {
  const found = [];
  for (let from = 0; from < speakers.length; from++) {
    let to = from;
    while (to < speakers.length && speakers[to] === "") to++;
    if (to - from > 1) found.push([from, to]);
    from = Math.max(from, to - 1);
  }
  return found;
}

function chip(token, pos, isWritten) {
  const made = element("span", isWritten ? "token written" : "token");
  made.dataset.pos = pos;
  made.tabIndex = -1;
  made.setAttribute("role", "option");
  made.append(letters(token));
  made.title = `token ${pos}: ${token}${isWritten ? ", written" : ""}`;
  made.setAttribute("aria-label", made.title);
  return made;
}

function mark(bar, pos) {
  bar.selected = pos;
  let marked = null;
  for (const made of bar.chips) {
    const is = Number(made.dataset.pos) === pos;
    made.setAttribute("aria-selected", is);
    made.hidden = "folded" in made.dataset && !is;
    if ("folds" in made.dataset) sayFold(made, !is);
    if (is) marked = made;
  }
  focusable(bar.chips, marked ?? bar.chips[0]);
  if (marked) requestAnimationFrame(() => revealed(bar, marked));
}

// With the last token chosen, the one that may come next is seen, too.
function revealed(bar, marked) {
  const next = bar.chips.at(-1);
  if (next.classList.contains("next") && bar.chips.at(-2) === marked) reveal(bar.text, next);
  reveal(bar.text, marked);
}

// The first of folded tokens stands for all of them until it is chosen.
function sayFold(made, stands) {
  made.dataset.own ??= made.title;
  made.classList.toggle("folds", stands);
  made.title = stands ? made.dataset.told : made.dataset.own;
  made.setAttribute("aria-label", stands ? `⋯${made.dataset.folds} ${made.title}` : made.title);
}

function choose(bar, pos) {
  if (pos < 0) return;
  mark(bar, pos);
  bar.pickToken(pos);
}

function walk(bar, pos, event) {
  if (pos < 0) return;
  const row = bar.chips.filter((made) => !made.hidden);
  const at = row.findIndex((made) => Number(made.dataset.pos) === pos);
  const to = moved(event.key, at, row.length, SIDEWAYS);
  if (event.key === "Enter" || event.key === " ") choose(bar, pos);
  else if (to !== null) {
    focusable(bar.chips, row[to]);
    row[to].focus();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

function saidBy(bar, event) {
  if (!bar.data.keys || document.querySelector("[role=dialog]")) return null;
  return command(event, isTyping(event));
}

// The strip is built anew where a run begins or ends: keys that are pressed in between wait for the next one.
function hold(bar) {
  const held = { said: "", at: 0 };
  held.onKey = (event) => {
    const said = saidBy(bar, event);
    if (said === null || said === "E") return;
    event.preventDefault();
    held.said += said;
    held.at = performance.now();
  };
  document.addEventListener("keydown", held.onKey);
  window.inlookHeld = held;
}

function released() {
  const held = window.inlookHeld;
  if (!held) return "";
  document.removeEventListener("keydown", held.onKey);
  window.inlookHeld = null;
  return performance.now() - held.at < HELD_MS ? held.said : "";
}

function heard(bar, event) {
  const said = saidBy(bar, event);
  if (said === null) return;
  event.preventDefault();
  if (said === "E") {
    openEditor(bar);
    return;
  }
  tell(bar, said);
}

// A button that does what a key does is told as the key is: counted, so that none is lost, and
// without a run of the whole script, which Streamlit would begin for a button out here.
function clicked(bar, event) {
  const said = buttonCommand(event.composedPath(), bar.data.buttons);
  if (said === null) return;
  event.preventDefault();
  event.stopPropagation();
  tell(bar, said);
}

function tell(bar, said) {
  bar.nKeys += 1;
  bar.log = (bar.log + said).slice(-MOST_KEYS);
  bar.tellKeys();
}

function openEditor(bar) {
  if (bar.editor) return;
  const editor = element("form", "editor");
  const box = element("textarea", "prompt");
  box.value = bar.data.prompt;
  box.rows = 4;
  box.setAttribute("aria-label", "Prompt");
  const run = element("button", "run", "Use this prompt");
  run.type = "submit";
  const cancel = button("cancel", "Cancel", "Give it up (Esc)", () => closeEditor(bar));
  const hint = element(
    "span",
    "hint",
    "Enter uses it, Shift and Enter begins a line, Esc gives up",
  );
  const row = element("div", "row");
  row.append(run, cancel, hint);
  editor.append(box, row);
  editor.addEventListener("submit", (event) => {
    event.preventDefault();
    closeEditor(bar);
    bar.takePrompt(box.value);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeEditor(bar);
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) editor.requestSubmit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  bar.editor = editor;
  bar.root.classList.add("editing");
  bar.root.append(editor);
  box.focus();
  box.select();
}

function closeEditor(bar) {
  bar.editor?.remove();
  bar.editor = null;
  bar.root.classList.remove("editing");
  bar.edit.focus();
}

// On a phone the bar is one line; this shows the rest of it, or hides it again.
function unfold(bar) {
  const within = bar.root.getRootNode().host ?? bar.root;
  const whole = within.closest(".st-key-text_bar");
  const isOpen = bar.root.classList.toggle("open");
  bar.more.textContent = isOpen ? "▴" : "▾";
  bar.more.setAttribute("aria-expanded", isOpen);
  if (whole) whole.dataset.open = isOpen;
}

// Tokens as chips. What is selected and hovered lives here, so that a click sends one number only.
import { focusable, letters, named, reveal } from "./chips.js";
import { element } from "./dom.js";
import { moved } from "./keys.js";
import { pictured } from "./picture.js";

const instances = new WeakMap();
const DIM_BELOW = 0.05;
const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

export default function ({ data, parentElement, setTriggerValue }) {
  let strip = instances.get(parentElement);
  if (!strip) {
    strip = create(parentElement);
    instances.set(parentElement, strip);
  }
  strip.send = (pos) => setTriggerValue("picked", pos);
  update(strip, data);
}

// What a screen reader and the tooltip say of a chip.
export function chipFacts(data, pos) {
  const facts = [`token ${(data.start ?? 0) + pos}: ${data.tokens[pos]}`];
  if (data.marks?.[pos]) facts.push(data.marks[pos]);
  if (data.ids) facts.push(`ID ${data.ids[pos]}`);
  if (data.hints) facts.push(data.hints[pos]);
  else if (data.weights) facts.push(`weight ${data.weights[pos].toFixed(3)}`);
  return facts.join(", ");
}

// The chips from 0 to `n` in order: runs without a heading, and groups with one.
export function runs(n, groups) {
  const found = [];
  let pos = 0;
  for (const [first, stop, heading] of groups) {
    if (first > pos) found.push({ first: pos, stop: first, heading: null });
    found.push({ first, stop, heading });
    pos = stop;
  }
  if (n > pos) found.push({ first: pos, stop: n, heading: null });
  return found;
}

// The bytes of one token's row among those that were sent, or null; of a long text only some were.
export function rowOf(rows, pos, n) {
  const at = rows === null || pos === null ? -1 : (pos - rows.first) * n;
  return at < 0 || at >= rows.bytes.length ? null : rows.bytes.subarray(at, at + n);
}

// How strongly each of `n` chips is shaded, from 0 to 1, while the pointer is on `hovered` (-1: on none).
// Without `weights`, the row of the hovered or else the selected token counts; its bytes hold square roots.
export function shades({ weights, rows, selected, n }, hovered) {
  const row = rowOf(rows, hovered, n) ?? (weights ? null : rowOf(rows, selected, n));
  return Array.from({ length: n }, (_, i) => (row ? (row[i] / 255) ** 2 : (weights?.[i] ?? 0)));
}

function create(parentElement) {
  const root = element("div", "box strip");
  parentElement.append(pictured(root));
  const strip = { root, chips: [], selected: null };
  const posOf = (event) => Number(event.target.closest(".token")?.dataset.pos ?? -1);
  root.addEventListener("click", (event) => pick(strip, posOf(event)));
  root.addEventListener("keydown", (event) => {
    const pos = posOf(event);
    if (pos < 0) return;
    const to = moved(event.key, pos, strip.chips.length, STEPS);
    if (event.key === "Enter" || event.key === " ") pick(strip, pos);
    else if (to !== null) focus(strip, to);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  root.addEventListener("pointerover", (event) => hover(strip, posOf(event)));
  root.addEventListener("pointerleave", () => hover(strip, -1));
  return strip;
}

function update(strip, data) {
  strip.root.setAttribute("role", data.pickable ? "listbox" : "figure");
  strip.root.setAttribute("aria-label", data.label);
  strip.root.style.maxHeight = `${data.height}px`;
  const { tokens, ids, marks, weights, notes, hints, groups } = data;
  const content = JSON.stringify([tokens, ids, marks, weights, notes, hints, groups]);
  if (strip.content !== content) {
    strip.content = content;
    strip.chips = tokens.map((_, pos) => chip(data, pos));
    strip.root.replaceChildren(...framed(strip.chips, groups));
    mark(strip, strip.selected < strip.chips.length ? strip.selected : null);
  }
  strip.weights = weights;
  strip.rows = data.rows === null ? null : { first: data.rows.first, bytes: decoded(data.rows) };
  if (strip.n_sent !== data.n_sent) {
    strip.n_sent = data.n_sent;
    mark(strip, data.selected);
  }
  hover(strip, -1);
}

function decoded(rows) {
  return Uint8Array.from(atob(rows.bytes), (byte) => byte.charCodeAt(0));
}

// Puts the chips of each group into one frame with a heading.
function framed(chips, groups) {
  return runs(chips.length, groups).flatMap(({ first, stop, heading }) => {
    const inside = chips.slice(first, stop);
    if (heading === null) return inside;
    const frame = element("span", "group");
    frame.setAttribute("role", "group");
    frame.setAttribute("aria-label", `${heading}, ${stop - first} tokens`);
    const box = element("span", "pieces");
    box.append(...inside);
    frame.append(element("span", "heading", heading), box);
    return [frame];
  });
}

function chip(data, pos) {
  const made = element("span", "token");
  made.dataset.pos = pos;
  made.tabIndex = pos === 0 ? 0 : -1;
  made.setAttribute("role", data.pickable ? "option" : "img");
  if (data.marks?.[pos]) made.append(element("span", "mark", data.marks[pos]));
  made.append(letters(data.tokens[pos]));
  if (data.ids) made.append(element("span", "id", data.ids[pos]));
  if (data.notes) made.append(element("span", "note", data.notes[pos]));
  named(made, chipFacts(data, pos));
  return made;
}

function focus(strip, pos) {
  focusable(strip.chips, strip.chips[pos]);
  strip.chips[pos].focus();
}

function pick(strip, pos) {
  if (pos < 0) return;
  mark(strip, pos);
  strip.send(pos);
}

function mark(strip, pos) {
  strip.selected = pos;
  for (const [i, made] of strip.chips.entries()) {
    if (made.getAttribute("role") === "option") made.setAttribute("aria-selected", i === pos);
  }
  if (pos === null) return;
  focusable(strip.chips, strip.chips[pos]);
  requestAnimationFrame(() => strip.selected === pos && reveal(strip.root, strip.chips[pos]));
}

function hover(strip, pos) {
  const { root, chips, weights, rows, selected } = strip;
  root.classList.toggle("hovering", rowOf(rows, pos, chips.length) !== null);
  for (const [i, weight] of shades({ weights, rows, selected, n: chips.length }, pos).entries()) {
    chips[i].style.setProperty("--w", weight);
    chips[i].classList.toggle("dim", i !== pos && weight < DIM_BELOW);
  }
}

// Tokens as chips. What is selected and hovered lives here, so that a click sends one number only.
const instances = new WeakMap();
const DIM_BELOW = 0.05;

export default function ({ data, parentElement, setTriggerValue }) {
  let strip = instances.get(parentElement);
  if (!strip) {
    strip = create(parentElement);
    instances.set(parentElement, strip);
  }
  strip.send = (pos) => setTriggerValue("picked", pos);
  update(strip, data);
}

function create(parentElement) {
  const root = document.createElement("div");
  root.className = "box strip";
  root.setAttribute("role", "listbox");
  parentElement.append(root);
  const strip = { root, chips: [], selected: null };
  const posOf = (event) => {
    const chip = event.target.closest(".token");
    return chip ? Number(chip.dataset.pos) : -1;
  };
  root.addEventListener("click", (event) => pick(strip, posOf(event)));
  root.addEventListener("keydown", (event) => {
    const pos = posOf(event);
    if (pos < 0) return;
    const last = strip.chips.length - 1;
    const moves = {
      ArrowRight: pos + 1,
      ArrowDown: pos + 1,
      ArrowLeft: pos - 1,
      ArrowUp: pos - 1,
      Home: 0,
      End: last,
    };
    if (event.key === "Enter" || event.key === " ") pick(strip, pos);
    else if (event.key in moves) focus(strip, Math.min(last, Math.max(0, moves[event.key])));
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  root.addEventListener("pointerover", (event) => hover(strip, posOf(event)));
  root.addEventListener("pointerleave", () => hover(strip, -1));
  return strip;
}

function update(strip, data) {
  strip.root.setAttribute("aria-label", data.label);
  strip.root.style.maxHeight = `${data.height}px`;
  const content = JSON.stringify([
    data.tokens,
    data.ids,
    data.marks,
    data.weights,
    data.notes,
    data.hints,
    data.groups,
  ]);
  if (strip.content !== content) {
    strip.content = content;
    strip.chips = data.tokens.map((token, pos) => chip(data, token, pos));
    strip.root.replaceChildren(...framed(strip.chips, data.groups));
    mark(strip, strip.selected < strip.chips.length ? strip.selected : null);
  }
  strip.weights = data.weights;
  const rows = data.rows === null ? null : Uint8Array.from(atob(data.rows), (c) => c.charCodeAt(0));
  strip.rows = rows;
  if (strip.n_sent !== data.n_sent) {
    strip.n_sent = data.n_sent;
    mark(strip, data.selected);
  }
  hover(strip, -1);
}

// Puts the chips of each group into one frame with a heading.
function framed(chips, groups) {
  const children = [];
  let pos = 0;
  for (const [first, stop, heading] of groups) {
    children.push(...chips.slice(pos, first));
    const frame = document.createElement("span");
    frame.className = "group";
    frame.setAttribute("role", "group");
    frame.setAttribute("aria-label", `${heading}, ${stop - first} tokens`);
    const pieces = span("pieces", "");
    pieces.append(...chips.slice(first, stop));
    frame.append(span("heading", heading), pieces);
    children.push(frame);
    pos = stop;
  }
  return [...children, ...chips.slice(pos)];
}

function chip(data, token, pos) {
  const element = document.createElement("span");
  element.className = "token";
  element.dataset.pos = pos;
  element.tabIndex = pos === 0 ? 0 : -1;
  element.setAttribute("role", "option");
  const facts = [`token ${pos}: ${token}`];
  if (data.marks?.[pos]) {
    element.append(span("mark", data.marks[pos]));
    facts.push(data.marks[pos]);
  }
  const text = span("text", "");
  text.dir = "auto";
  for (const part of token.split(/([·↵⇥])/))
    if (part) text.append(/[·↵⇥]/.test(part) ? span("space", part) : part);
  element.append(text);
  if (data.ids) {
    element.append(span("id", data.ids[pos]));
    facts.push(`ID ${data.ids[pos]}`);
  }
  if (data.notes) element.append(span("note", data.notes[pos]));
  if (data.hints) facts.push(data.hints[pos]);
  else if (data.weights) facts.push(`weight ${data.weights[pos].toFixed(3)}`);
  element.setAttribute("aria-label", facts.join(", "));
  element.title = facts.join(", ");
  return element;
}

function span(className, text) {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text;
  return element;
}

function focus(strip, pos) {
  strip.chips.forEach((element, i) => (element.tabIndex = i === pos ? 0 : -1));
  strip.chips[pos].focus();
}

function pick(strip, pos) {
  if (pos < 0) return;
  mark(strip, pos);
  strip.send(pos);
}

function mark(strip, pos) {
  strip.selected = pos;
  strip.chips.forEach((element, i) => {
    element.setAttribute("aria-selected", i === pos);
    if (pos !== null) element.tabIndex = i === pos ? 0 : -1;
  });
  if (pos !== null)
    requestAnimationFrame(() => strip.selected === pos && reveal(strip.root, strip.chips[pos]));
}

// Scrolls the strip, never the page.
function reveal(root, chip) {
  const [box, inside] = [root.getBoundingClientRect(), chip.getBoundingClientRect()];
  if (inside.top < box.top) root.scrollTop += inside.top - box.top - 4;
  else if (inside.bottom > box.bottom) root.scrollTop += inside.bottom - box.bottom + 4;
}

// Without `weights`, a row shades the chips by what the hovered (or else the selected) token reads.
function hover(strip, pos) {
  const n = strip.chips.length;
  strip.root.classList.toggle("hovering", pos >= 0 && strip.rows !== null);
  const shown = pos >= 0 ? pos : strip.selected;
  strip.chips.forEach((element, i) => {
    let weight = strip.weights ? strip.weights[i] : 0;
    if (strip.rows && shown !== null && (pos >= 0 || !strip.weights))
      weight = (strip.rows[shown * n + i] / 255) ** 2;
    element.style.setProperty("--w", weight);
    element.classList.toggle("dim", i !== pos && weight < DIM_BELOW);
  });
}

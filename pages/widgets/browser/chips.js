// What do all rows of tokens do alike: how a token is written, focused and brought into sight?
import { element } from "./dom.js";

// A token cut at the signs that stand for its white space.
export function pieces(token) {
  const parts = token.split(/([·↵⇥])/).filter((part) => part !== "");
  return parts.map((text) => ({ text, isSpace: /[·↵⇥]/.test(text) }));
}

// The letters of a token, its white space fainter.
export function letters(token) {
  const made = element("span", "letters");
  made.dir = "auto";
  for (const piece of pieces(token)) {
    made.append(piece.isSpace ? element("span", "space", piece.text) : piece.text);
  }
  return made;
}

// What is called by voice is what is seen, so a name holds that; what else is known comes after it.
export function spoken(seen, facts) {
  return facts.includes(seen) ? facts : `${seen}, ${facts}`;
}

// Gives an element its tooltip, and a name that holds all that is written in it.
export function named(made, facts) {
  for (const part of [...made.children].slice(1)) part.before(" ");
  made.title = facts;
  made.setAttribute("aria-label", spoken(made.textContent, facts));
}

// Lets the Tab key stop at one of a row. To write what stands there already is not free: at the one that has the
// focus, the browser computes every style of the page anew to see whether it may keep it.
export function focusable(row, chosen) {
  for (const one of row) {
    const index = one === chosen ? 0 : -1;
    if (one.tabIndex !== index || !one.hasAttribute("tabindex")) one.tabIndex = index;
  }
}

// Scrolls the box of a chip, never the page.
export function reveal(box, made) {
  const [outer, inner] = [box.getBoundingClientRect(), made.getBoundingClientRect()];
  if (inner.top < outer.top) box.scrollTop += inner.top - outer.top - 4;
  else if (inner.bottom > outer.bottom) box.scrollTop += inner.bottom - outer.bottom + 4;
  if (inner.left < outer.left) box.scrollLeft += inner.left - outer.left - 4;
  else if (inner.right > outer.right) box.scrollLeft += inner.right - outer.right + 4;
}

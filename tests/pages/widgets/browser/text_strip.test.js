// The bar hears its keys and no others, and says what is new.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  buttonCommand,
  command,
  foldsOf,
  news,
} from "../../../../pages/widgets/browser/text_strip.js";

const plain = { shiftKey: false, ctrlKey: false, metaKey: false, altKey: false, repeat: false };

test("single letters are commands, and Shift and B another one", () => {
  const heard = (key, more = {}) => command({ ...plain, key, ...more }, false);
  assert.deepEqual(
    ["n", "b", "g", "e"].map((key) => heard(key)),
    ["N", "B", "G", "E"],
  );
  assert.equal(heard("B", { shiftKey: true }), "R");
  assert.equal(heard("N"), "N"); // with Caps Lock
  for (const key of ["x", "Enter", " ", "ArrowLeft"]) assert.equal(heard(key), null);
});

test("letters that are typed, held down or meant for the browser are no commands", () => {
  assert.equal(command({ ...plain, key: "n" }, true), null);
  for (const name of ["ctrlKey", "metaKey", "altKey", "repeat"]) {
    assert.equal(command({ ...plain, key: "n", [name]: true }, false), null);
  }
  assert.equal(command({ ...plain, key: "N", shiftKey: true }, false), null);
});

test("what is new is the text's end, of a part that is shown, too", () => {
  assert.equal(news(["a", "·b", "·c"], 0, 1), "b c");
  assert.equal(news(["·b", "↵", "·c"], 7, 8), "c");
  assert.equal(news(["·b", "·c"], 7, 3), "b c");
  assert.equal(news(["a"], 0, 1), "");
});

test("a click on a button tells its key, on its icon and label, too, and nothing beside it does", () => {
  const at = (localName, ...classes) => ({
    localName,
    classList: { contains: (name) => classes.includes(name) },
  });
  const [icon, press] = [at("span"), at("button")];
  const [step, bar] = [at("div", "st-key-text_bar-step"), at("div", "st-key-text_bar")];
  const buttons = { "text_bar-back": "B", "text_bar-step": "N" };
  assert.equal(buttonCommand([icon, press, step, bar, {}], buttons), "N");
  assert.equal(buttonCommand([press, step, bar, {}], buttons), "N");
  assert.equal(buttonCommand([icon, step, bar, {}], buttons), null);
  assert.equal(buttonCommand([step, press, bar, {}], buttons), null);
  assert.equal(buttonCommand([icon, { ...press, disabled: true }, step, bar], buttons), null);
  assert.equal(buttonCommand([press, bar], buttons), null);
  assert.equal(buttonCommand([press, step], {}), null);
});

test("two or more tokens that are nobody's words are folded, wherever they stand", () => {
  assert.deepEqual(foldsOf(["", "", "user", "", "user", "", "", ""]), [
    [0, 2],
    [5, 8],
  ]);
  assert.deepEqual(foldsOf(["user", "", "assistant"]), []);
  assert.deepEqual(foldsOf([]), []);
});

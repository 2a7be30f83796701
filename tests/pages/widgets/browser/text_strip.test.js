// The bar hears its keys and no others, and says what is new.
import assert from "node:assert/strict";
import { test } from "node:test";
import { command, news } from "../../../../pages/widgets/browser/text_strip.js";

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

// Keys of the window: which ones there are, and when they are none.
import assert from "node:assert/strict";
import { test } from "node:test";
import { wish } from "../../../../pages/widgets/browser/shell_keys.js";

test("letters turn the steps of a lesson, and open the full screen and the projector's view", () => {
  assert.equal(wish({ key: "l" }, false), "next");
  assert.equal(wish({ key: "L", shiftKey: true }, false), "back");
  assert.equal(wish({ key: "f" }, false), "full");
  assert.equal(wish({ key: "p" }, false), "present");
});

test("a remote control turns steps at the projector alone: elsewhere its keys scroll", () => {
  assert.equal(wish({ key: "PageDown" }, true), "next");
  assert.equal(wish({ key: "PageUp" }, true), "back");
  assert.equal(wish({ key: "PageDown" }, false), null);
});

test("what belongs to the browser or is held down is no command", () => {
  for (const held of ["ctrlKey", "metaKey", "altKey", "repeat"]) {
    assert.equal(wish({ key: "f", [held]: true }, true), null);
  }
  for (const key of ["n", "Escape", "F11", "ArrowRight"]) assert.equal(wish({ key }, true), null);
  assert.equal(wish({ key: "F", shiftKey: true }, true), null);
});

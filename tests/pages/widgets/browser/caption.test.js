// The lines below a saved picture.
import assert from "node:assert/strict";
import { test } from "node:test";
import { wrapped } from "../../../../pages/widgets/browser/caption.js";

test("a text is cut between words into lines that fit, and nowhere lost", () => {
  const text = "one two three areallylongword";
  const lines = wrapped(text, 8);
  assert.ok(lines.every((line) => line.length <= 8));
  assert.equal(lines.join("").replaceAll(" ", ""), text.replaceAll(" ", ""));
  assert.deepEqual(wrapped("a b", 8), ["a b"]);
});

// What a component's picture is called.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileName } from "../../../../pages/widgets/browser/picture.js";

test("a picture is named by what it shows", () => {
  assert.equal(
    fileName("Attention of every layer and head"),
    "inlook-attention-of-every-layer-and-head",
  );
});

test("no letter of a text leads out of the folder, and a name is never too long or empty", () => {
  assert.equal(fileName("../../x: <b>é</b>"), "inlook-x-b-b");
  assert.equal(fileName(""), "inlook");
  assert.ok(fileName("word ".repeat(100)).length <= 80);
});

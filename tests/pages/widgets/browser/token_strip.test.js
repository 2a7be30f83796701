// A strip says and shades what each token is and reads.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pieces, spoken } from "../../../../pages/widgets/browser/chips.js";
import { chipFacts, rowOf, runs, shades } from "../../../../pages/widgets/browser/token_strip.js";

test("a chip says what is known of its token, and its hint in place of its weight", () => {
  const tokens = ["a", "·b"];
  const nothing = { tokens, ids: null, marks: null, weights: null, hints: null };
  assert.equal(chipFacts(nothing, 1), "token 1: ·b");
  const all = { tokens, ids: [5, 6], marks: [null, "new"], weights: [0.5, 0.12345], hints: null };
  assert.equal(chipFacts(all, 0), "token 0: a, ID 5, weight 0.500");
  assert.equal(chipFacts(all, 1), "token 1: ·b, new, ID 6, weight 0.123");
  assert.equal(chipFacts({ ...all, hints: ["x", "y"] }, 1), "token 1: ·b, new, ID 6, y");
});

test("the pieces of a token are the token, and only its white space is marked", () => {
  for (const token of ["·Once", "a↵·b⇥", "plain", "", "··", "<b>"]) {
    const cut = pieces(token);
    assert.equal(cut.map(({ text }) => text).join(""), token);
    for (const { text, isSpace } of cut) {
      assert.notEqual(text, "");
      assert.equal(isSpace, ["·", "↵", "⇥"].includes(text));
    }
  }
});

test("runs hold every chip once and in order, and a heading where there is a group", () => {
  const groups = [
    [1, 3, "ab"],
    [3, 4, "c"],
    [6, 8, "d"],
  ];
  const found = runs(8, groups);
  const inside = found.flatMap(({ first, stop }) =>
    Array.from({ length: stop - first }, (_, i) => first + i),
  );
  assert.deepEqual(inside, [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(
    found.map(({ heading }) => heading),
    [null, "ab", "c", null, "d"],
  );
  assert.deepEqual(runs(2, []), [{ first: 0, stop: 2, heading: null }]);
  assert.deepEqual(runs(0, []), []);
});

// square roots of 1, 0, 0.04 and 0.64
const ROWS = { first: 0, bytes: Uint8Array.from([255, 0, 51, 204]) };

test("the hovered token's row shades, and the selected one's when nothing is hovered", () => {
  const strip = { weights: null, rows: ROWS, selected: 1, n: 2 };
  assert.deepEqual(shades(strip, 0), [1, 0]);
  const [first, second] = shades(strip, -1);
  assert.ok(Math.abs(first - 0.04) < 1e-9);
  assert.ok(Math.abs(second - 0.64) < 1e-9);
});

test("weights shade until a token is hovered that has a row", () => {
  const strip = { weights: [0.1, 0.2], rows: ROWS, selected: 1, n: 2 };
  assert.deepEqual(shades(strip, -1), [0.1, 0.2]);
  assert.deepEqual(shades(strip, 0), [1, 0]);
  assert.deepEqual(shades({ ...strip, rows: null }, 0), [0.1, 0.2]);
});

test("nothing is shaded where nothing is known", () => {
  assert.deepEqual(shades({ weights: null, rows: null, selected: 0, n: 3 }, 1), [0, 0, 0]);
  assert.deepEqual(shades({ weights: null, rows: ROWS, selected: null, n: 2 }, -1), [0, 0]);
});

test("of a long text only the rows that were sent are known; elsewhere the selected one stays", () => {
  const rows = { first: 2, bytes: Uint8Array.from([0, 255, 0, 0, 255, 0, 0, 0]) };
  for (const pos of [null, -1, 0, 1, 4, 99]) assert.equal(rowOf(rows, pos, 4), null);
  assert.deepEqual([...rowOf(rows, 3, 4)], [255, 0, 0, 0]);
  const strip = { weights: null, rows, selected: 2, n: 4 };
  assert.deepEqual(shades(strip, 0), [0, 1, 0, 0]);
  assert.deepEqual(shades(strip, 3), [1, 0, 0, 0]);
  assert.deepEqual(shades({ ...strip, selected: 1 }, 0), [0, 0, 0, 0]);
});

test("what is called by voice is what is seen", () => {
  assert.equal(spoken("·girl", "token 3: ·girl, ID 5"), "token 3: ·girl, ID 5");
  assert.ok(spoken("·girl 5", "token 3: ·girl, ID 5").startsWith("·girl 5, token 3"));
});

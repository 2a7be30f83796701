// Lines lead from each query's row to the row of the key it reads.
import assert from "node:assert/strict";
import { test } from "node:test";
import { curve, linesOf, scrolled } from "../../../../pages/widgets/browser/head_lines.js";

const LINES = { query: [0, 1, 2, 2], key: [0, 0, 1, 2], weight: [1, 0.5, 0.3, 0.7] };

test("a line begins in the middle of its query's row and ends in that of its key's", () => {
  const rowHeight = 22;
  const numbers = curve(3, 1)
    .match(/[\d.]+/g)
    .map(Number);
  assert.deepEqual(numbers.slice(0, 2), [0, 3.5 * rowHeight]);
  assert.deepEqual(numbers.slice(-2), [100, 1.5 * rowHeight]);
});

test("a row in sight is not scrolled to; one above or below is brought in sight", () => {
  for (const pos of [1, 2, 3]) assert.equal(scrolled(pos, 22, 66), 22);
  for (const [pos, from] of [
    [0, 200],
    [40, 0],
    [5, 22 * 5 + 1],
    [4, 0],
  ]) {
    const top = scrolled(pos, from, 100);
    assert.notEqual(top, from);
    assert.ok(top <= 22 * pos && 22 * (pos + 1) <= top + 100, `row ${pos} at ${top}`);
  }
});

test("a query shows its own lines, with what it reads from each key", () => {
  const { on, read } = linesOf(LINES, "query", 2);
  assert.deepEqual(on, [false, false, true, true]);
  assert.deepEqual(
    [...read],
    [
      [1, 0.3],
      [2, 0.7],
    ],
  );
});

test("a key shows the lines that lead to it, without numbers of other rows", () => {
  const { on, read } = linesOf(LINES, "key", 0);
  assert.deepEqual(on, [true, true, false, false]);
  assert.equal(read.size, 0);
});

test("without a position no line is singled out", () => {
  assert.ok(!linesOf(LINES, "query", -1).on.includes(true));
});

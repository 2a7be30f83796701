// Arrow keys stay inside what they move through.
import assert from "node:assert/strict";
import { test } from "node:test";
import { moved, movedInGrid } from "../../../../pages/widgets/browser/keys.js";

const STEPS = { ArrowRight: 1, ArrowLeft: -1 };
const ARROWS = ["ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"];

test("a list is walked one by one and left at neither end", () => {
  assert.equal(moved("ArrowRight", 1, 4, STEPS), 2);
  assert.equal(moved("ArrowLeft", 1, 4, STEPS), 0);
  assert.equal(moved("ArrowLeft", 0, 4, STEPS), 0);
  assert.equal(moved("ArrowRight", 3, 4, STEPS), 3);
  assert.equal(moved("Home", 2, 4, STEPS), 0);
  assert.equal(moved("End", 1, 4, STEPS), 3);
});

test("keys without a step are left to the browser", () => {
  for (const key of ["ArrowDown", "Enter", "a", "Tab"]) assert.equal(moved(key, 1, 4, STEPS), null);
  for (const key of ["Home", "Enter", "a"]) assert.equal(movedInGrid(key, 1, 6, 3, true), null);
});

test("a step down in a table and one up lead back, whatever its width", () => {
  for (const nColumns of [1, 2, 3, 6]) {
    for (let from = 0; from + nColumns < 6; from++) {
      const below = movedInGrid("ArrowDown", from, 6, nColumns, false);
      assert.equal(below, from + nColumns);
      assert.equal(movedInGrid("ArrowUp", below, 6, nColumns, false), from);
    }
  }
});

test("a step sideways leaves the row only where reading goes on in the next", () => {
  assert.equal(movedInGrid("ArrowRight", 2, 6, 3, false), 2);
  assert.equal(movedInGrid("ArrowRight", 2, 6, 3, true), 3);
  assert.equal(movedInGrid("ArrowLeft", 3, 6, 3, false), 3);
  assert.equal(movedInGrid("ArrowLeft", 3, 6, 3, true), 2);
  assert.equal(movedInGrid("ArrowRight", 3, 6, 3, false), 4);
});

test("no key leads out of the grid, also where the last row is not full", () => {
  for (const wraps of [true, false]) {
    for (let from = 0; from < 5; from++) {
      for (const key of ARROWS) {
        const to = movedInGrid(key, from, 5, 3, wraps);
        assert.ok(to >= 0 && to < 5, `${key} from ${from} leads to ${to}`);
      }
    }
  }
});

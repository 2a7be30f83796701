// The grid of heads reads what Python packed.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  equal,
  rowLength,
  tileColours,
  unpacked,
} from "../../../../pages/widgets/browser/head_grid.js";

// As struct.pack("<I", n) + json.dumps(header).encode() + pixels, somewhere inside a larger buffer.
function packed(header, pixels, before = 3) {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = text.length;
  const number = [length & 255, (length >> 8) & 255, (length >> 16) & 255, length >>> 24];
  const buffer = Uint8Array.from([...new Array(before).fill(9), ...number, ...text, ...pixels, 9]);
  return buffer.subarray(before, buffer.length - 1);
}

test("header and pixels are what was packed, wherever they lie in memory", () => {
  const header = {
    label: "Aufmerksamkeit für „·ß“",
    layers: Array.from({ length: 90 }, (_, i) => i),
  };
  for (const before of [0, 1, 7]) {
    const found = unpacked(packed(header, [1, 2, 3], before));
    assert.deepEqual(found.header, header);
    assert.deepEqual([...found.pixels], [1, 2, 3]);
  }
});

test("each tile takes its own pixels, row by row, and their colours", () => {
  const palette = Uint32Array.from({ length: 256 }, (_, i) => i * 1000);
  const pixels = Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 255]);
  assert.deepEqual([...tileColours(pixels, 0, 2, palette)], [0, 1000, 2000, 3000]);
  assert.deepEqual([...tileColours(pixels, 1, 2, palette)], [4000, 5000, 6000, 255000]);
});

test("a row is as long as its tiles lie at one height", () => {
  assert.equal(rowLength([5, 5, 5, 40, 40]), 3);
  assert.equal(rowLength([5, 5]), 2);
  assert.equal(rowLength([5, 9]), 1);
});

test("pictures are equal only if every byte and their number are", () => {
  assert.ok(equal(Uint8Array.of(1, 2), Uint8Array.of(1, 2)));
  assert.ok(!equal(Uint8Array.of(1, 2), Uint8Array.of(1, 3)));
  assert.ok(!equal(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0)));
});

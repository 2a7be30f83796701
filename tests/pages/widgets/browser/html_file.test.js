import assert from "node:assert/strict";
import test from "node:test";

test("bytes come back as they were", async () => {
  globalThis.document = { documentElement: {} };
  globalThis.window = { matchMedia: () => ({}) };
  const { bytesOf } = await import("../../../../pages/widgets/browser/html_file.js");
  assert.deepEqual([...bytesOf("AP88")], [0, 255, 60]);
});

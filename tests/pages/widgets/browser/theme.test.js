// Colours are read from Streamlit's CSS variables.
import assert from "node:assert/strict";
import { test } from "node:test";
import { colourList, variables } from "../../../../pages/widgets/browser/theme.js";

test("commas inside a colour do not cut it", () => {
  assert.deepEqual(colourList("#fff, rgb(1, 2, 3),rgba(0, 0, 0, 0.5) , red"), [
    "#fff",
    "rgb(1, 2, 3)",
    "rgba(0, 0, 0, 0.5)",
    "red",
  ]);
});

test("a variable is named without Streamlit's prefix and trimmed", () => {
  const style = { getPropertyValue: (name) => (name === "--st-font" ? ' "Inter" ' : "") };
  assert.equal(variables(style)("font"), '"Inter"');
  assert.equal(variables(style)("primary-color"), "");
});

// A link to a page carries what is looked at, unless it says itself what to look at.
import assert from "node:assert/strict";
import { test } from "node:test";
import { completes, leadsUnder, withView } from "../../../../pages/widgets/browser/page_links.js";

const HERE = "http://127.0.0.1:8501/what-each-head-reads?layer=3";

test("a link takes over what is in the address", () => {
  assert.equal(withView("/layer-by-layer?layer=1", "?layer=3", HERE), "/layer-by-layer?layer=3");
  assert.equal(withView("layer-by-layer", "?layer=3", HERE), "/layer-by-layer?layer=3");
  assert.equal(withView("/layer-by-layer?layer=1", "", HERE), "/layer-by-layer");
});

test("a link that changes fields stays as it is", () => {
  const told = "/layer-by-layer?layer=7&set=layer";
  assert.equal(withView(told, "?layer=3", HERE), told);
});

test("only on a narrow screen does the sidebar lie over the page that a link leads to", () => {
  const link = {};
  assert.ok(leadsUnder(link, 400));
  assert.ok(!leadsUnder(link, 1280));
  assert.ok(!leadsUnder(null, 400));
});

test("the page that follows at once on what is looked at is no step of its own", () => {
  const from = new URL("http://127.0.0.1:8501/?step=2");
  const page = new URL("http://127.0.0.1:8501/layer-by-layer?step=2");
  assert.ok(completes(page, from, 20));
  assert.ok(!completes(page, from, 5000));
  assert.ok(!completes(new URL("http://127.0.0.1:8501/layer-by-layer?step=3"), from, 20));
  assert.ok(!completes(from, from, 20));
});

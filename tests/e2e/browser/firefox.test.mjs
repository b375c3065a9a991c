// The same in Firefox: a sign-out ends what is open, and logout.close_tabs sends the other tabs to the sign-in page.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Firefox } from "./firefox.mjs";
import { eventStream, Gateway, makeFolder, PASSWORD, Site } from "./parts.mjs";
import * as evidence from "./evidence.mjs";

const STREAM = `<!doctype html><title>Live</title><p id="stream"></p><script>
  const show = (text) => { document.getElementById("stream").textContent = text; };
  const stream = new EventSource("/stream");
  stream.onmessage = (event) => show(event.data);
  stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) show("closed"); };
</script>`;
const PAGES = { "/": "<!doctype html><title>Shop</title>", "/other": "<!doctype html><title>Other</title>",
  "/live": STREAM, "/stream": eventStream };

describe("Firefox", () => {
  const parts = [];
  let firefox, usual, closing;
  before(async () => {
    const application = await Site.start(PAGES);
    parts.push(application);
    const start = async (closeTabs) => {
      const home = makeFolder();
      const gateway = await Gateway.start(home.folder, { upstream: application.url, closeTabs });
      parts.push(home, gateway);
      return gateway;
    };
    [usual, closing] = [await start(false), await start(true)];
    firefox = await Firefox.open();
  });
  after(async () => {
    await firefox?.stop();
    for (const part of parts.reverse()) await part.stop();
  });

  async function signIn(gateway, user) {
    const tab = await firefox.tab(gateway.at("/login?switch=1"));
    evidence.secret(PASSWORD);
    await tab.evaluate(`username.value = "${user}"; password.value = "${PASSWORD}"`);
    await tab.evaluate(`document.querySelector("form .button").click()`);
    await tab.waitForPath("/");
    return tab;
  }

  async function signOut(gateway, tab) {
    await tab.goto(gateway.at("/login"));
    await tab.evaluate(`document.querySelector("form[action='/logout'] button").click()`);
    await tab.waitForPath("/.exeunt/goodbye");
    await tab.waitFor(`document.querySelector("h1")?.textContent === "You are signed out"`);
  }

  it("is signed out, and what is open ends", async () => {
    const tab = await signIn(usual, "alice");
    const live = await firefox.tab(usual.at("/live"));
    await live.waitFor(`document.getElementById("stream").textContent === "live"`);
    await signOut(usual, tab);
    await live.waitFor(`document.getElementById("stream").textContent === "closed"`);
    await tab.goto(usual.at("/"));
    await tab.waitForPath("/login");
    assert.equal((await live.url()).pathname, "/live", "tabs stay by default");
  });

  it("sends other tabs to the sign-in page, and keeps nothing", async () => {
    for (const user of ["alice", "bob"]) {
      const tab = await signIn(closing, user);
      const others = [await firefox.tab(closing.at("/other")), await firefox.tab(closing.at("/"))];
      await signOut(closing, tab);
      for (const other of others) await other.waitForPath("/login");
      await tab.waitFor(`document.querySelector("#tabs:not([hidden])")?.textContent.startsWith("2 other open tabs")`);
      // A page that opens before the worker is gone may be claimed by it.
      await tab.waitFor(`navigator.serviceWorker.getRegistrations().then((all) => all.length === 0)`);
      const after = await firefox.tab(closing.at("/login"));
      assert.equal(await after.evaluate("navigator.serviceWorker.controller === null"), true);
    }
  });
});

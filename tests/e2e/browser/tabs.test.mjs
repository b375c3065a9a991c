// logout.close_tabs: the goodbye page sends the other open tabs of its host to the sign-in page, and leaves nothing.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { Gateway, makeFolder, PLAIN_NAME, Site, stopAll } from "./parts.mjs";
import { goBack, goodbye, openBrowser, path, press, visiting, Visitor } from "./visitor.mjs";

const page = (title, body = "", headers = {}) => (request, response) => {
  response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", ...headers });
  response.end(`<!doctype html><title>${title}</title><h1>${title}</h1><a href="/logout">Sign out</a>${body}`);
};
const script = (request, response) => {
  response.writeHead(200, { "Content-Type": "text/javascript" });
  response.end("oninstall = () => skipWaiting(); onactivate = (event) => event.waitUntil(clients.claim());");
};
const SOCKET = `<p id="socket"></p><script>
  const socket = new WebSocket(new URL("/ws", location).href.replace("http", "ws"));
  socket.onopen = () => { document.getElementById("socket").textContent = "live"; };
</script>`;
const STRICT = {
  "Content-Security-Policy": "default-src 'none'; script-src 'none'; worker-src 'none'; form-action 'none'",
};
const PAGES = {
  "/": page("Shop"), "/other": page("Other"), "/socket": page("Socket", SOCKET), "/strict": page("Strict", "", STRICT),
  "/form": page("Form", "<textarea></textarea><script>onbeforeunload = (event) => event.preventDefault();</script>"),
  "/app/": page("Application"), "/app/worker.js": script,
  "/frame": page("Frame", "<iframe src='/other'></iframe>"),
};

/** Takes a WebSocket and holds it open (RFC 6455 4.2.2). */
function hold(request, connection) {
  const key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const accept = createHash("sha1").update(key).digest("base64");
  connection.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
    + `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  connection.on("error", () => {}).on("data", () => {}).on("end", () => connection.end());
}

describe("open tabs after a sign-out", () => {
  const parts = [];
  let browser, closing, usual, trusting;
  before(async () => {
    const application = await Site.start(PAGES);
    application.server.on("upgrade", hold);
    parts.push(application);
    const start = async (more) => {
      const home = makeFolder();
      const gateway = await Gateway.start(home.folder, { upstream: application.url, ...more });
      parts.push(home, gateway);
      return gateway;
    };
    [closing, usual] = [await start({ closeTabs: true }), await start({})];
    trusting = await start({ closeTabs: true, route: 'service_workers = "allow"' });
    browser = await openBrowser();
  });
  after(() => stopAll(parts, browser));

  /** Signed in, with a tab for each path. */
  const tabs = (gateway, paths, test, more = {}) => visiting(
    () => Visitor.open(browser, gateway(), more.name ?? "localhost", more.context),
    async (visitor) => {
      await visitor.type("/login");
      await visitor.signIn("alice");
      const opened = [];
      for (const path of paths) {
        const tab = await visitor.tab();
        await visitor.type(path, tab);
        opened.push(tab);
      }
      await test(visitor, opened);
    },
  );

  const isSentAway = (tab) => tab.waitForURL((url) => url.pathname === "/login");
  const registrations = (page) => page.evaluate(async () =>
    (await navigator.serviceWorker.getRegistrations()).map((one) => new URL(one.scope).pathname));

  /** Nothing stays registered, and nothing stands between the next page and the gateway. */
  async function nothingStays(visitor, left = visitor.page) {
    // A page that opens while the worker is at work may be claimed, too. It claims the goodbye page before it is
    // unregistered.
    await left.waitForFunction(() => navigator.serviceWorker.controller);
    await left.waitForFunction(async () => (await navigator.serviceWorker.getRegistrations()).length === 0);
    const after = await visitor.tab();
    const answer = await visitor.type("/login", after);
    assert.equal(answer.fromServiceWorker(), false);
    assert.deepEqual(await registrations(after), []);
    assert.equal(await after.evaluate(() => navigator.serviceWorker.controller), null);
    await after.close();
  }

  const said = (visitor, page = visitor.page) => page.locator("#tabs:visible").innerText();

  it("leave, whatever they show", tabs(() => closing, ["/", "/other", "/socket", "/strict", "/frame"],
    async (visitor, opened) => {
      await opened[1].evaluate(() => history.pushState(null, "", "/somewhere/else"));
      await opened[2].locator("#socket:text-is('live')").waitFor();
      await visitor.signOut();
      await Promise.all(opened.map(isSentAway));
      assert.equal(await said(visitor), "5 other open tabs were asked to go to the sign-in page");
      await nothingStays(visitor);
      assert.equal(path(visitor.page), "/.exeunt/goodbye", "the receipt stays");
    }));

  it("leave after a sign-out by a link", tabs(() => closing, ["/"], async (visitor, [tab]) => {
    await visitor.type("/");
    await press(visitor.page, visitor.page.locator("a"));
    await goodbye(visitor.page);
    await isSentAway(tab);
    assert.equal(await said(visitor), "1 other open tab was asked to go to the sign-in page");
    await nothingStays(visitor);
  }));

  it("leave each time, also while earlier goodbye pages are open", tabs(() => closing, [], async (visitor) => {
    for (let time = 0; time < 3; time += 1) {
      const [tab, leaves] = [await visitor.tab(), await visitor.tab()];
      await visitor.signIn("alice", { page: tab });
      await visitor.type("/other", tab);
      await visitor.signOut(leaves);
      await isSentAway(tab);
      await nothingStays(visitor, leaves);
    }
  }));

  it("are asked once more when Back is pressed", tabs(() => closing, ["/"], async (visitor, [tab]) => {
    await visitor.signOut();
    await isSentAway(tab);
    await goBack(tab);
    await tab.waitForURL((url) => url.pathname === "/login" && url.searchParams.get("next") === "/");
  }));

  it("may stay for what was typed into them", tabs(() => closing, ["/form", "/"], async (visitor, [form, plain]) => {
    await form.locator("textarea").pressSequentially("a long letter");
    const asked = form.waitForEvent("dialog");
    await visitor.signOut();
    await (await asked).dismiss();
    await isSentAway(plain);
    assert.equal(await form.locator("textarea").inputValue(), "a long letter");
    await nothingStays(visitor);
    // The next visit is not held up by it.
    form.on("dialog", (dialog) => dialog.accept());
  }));

  it("stay where the application has a worker, which stays too", tabs(() => closing, ["/app/", "/"],
    async (visitor, [application, plain]) => {
      await application.evaluate(async () => {
        await navigator.serviceWorker.register("/app/worker.js", { scope: "/app/" });
        await new Promise((done) => {
          const look = () => navigator.serviceWorker.controller && done();
          navigator.serviceWorker.oncontrollerchange = look;
          look();
        });
      });
      await visitor.signOut();
      await isSentAway(plain);
      assert.equal(path(application), "/app/");
      assert.deepEqual(await registrations(visitor.page), ["/app/"]);
    }));

  /** A sign-out that leaves the tab alone: the worker is not requested. */
  const alone = (gateway, name, context) => tabs(gateway, ["/other"], async (visitor, [tab]) => {
    const asked = [];
    visitor.context.on("request", (request) => asked.push(new URL(request.url()).pathname));
    await visitor.signOut();
    assert.match(await visitor.page.innerText("main"), /You are signed out/);
    await visitor.page.waitForLoadState("networkidle");
    assert.ok(!asked.includes("/.exeunt/tabs.js"));
    assert.equal(path(tab), "/other");
  }, { name, context });

  it("stay by default", alone(() => usual));
  it("stay where the application may have a worker for the whole host", alone(() => trusting));
  it("stay where scripts are off", alone(() => closing, "localhost", { javaScriptEnabled: false }));
  it("stay on plain http beyond loopback", alone(() => closing, PLAIN_NAME));

  it("belong to one browser profile", tabs(() => closing, [], async (visitor) => {
    const other = await Visitor.open(browser, closing);
    try {
      await other.type("/login");
      await other.signIn("bob");
      await other.type("/other");
      await visitor.signOut();
      await nothingStays(visitor);
      assert.equal(path(other.page), "/other");
    } finally {
      await other.context.close();
    }
  }));
});

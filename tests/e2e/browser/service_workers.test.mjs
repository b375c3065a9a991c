// A service worker of the application stands between its pages and the network: it must not stand before ours.
//
// Browsers have service workers only where they trust the connection: on loopback, not on plain http beyond it.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Gateway, makeFolder, Site, stopAll } from "./parts.mjs";
import { openBrowser, visiting, Visitor } from "./visitor.mjs";

const FORGED = "this is not the gateway";
/** A worker that takes over at once and answers every navigation itself. */
const WORKER = `
  addEventListener("install", () => skipWaiting());
  addEventListener("activate", (event) => event.waitUntil(clients.claim()));
  addEventListener("fetch", (event) => {
    if (event.request.mode === "navigate") event.respondWith(new Response("${FORGED}"));
  });`;
const script = (headers = {}) => (request, response) => {
  response.writeHead(200, { "Content-Type": "text/javascript", ...headers });
  response.end(WORKER);
};
const PAGES = {
  "/": "<!doctype html><title>Shop</title>", "/app/": "<!doctype html><title>Application</title>",
  "/worker.js": script(), "/app/worker.js": script(), "/app/wide.js": script({ "Service-Worker-Allowed": "/" }),
};

describe("service workers", () => {
  const parts = [];
  let browser, careful, trusting;
  before(async () => {
    const application = await Site.start(PAGES);
    parts.push(application);
    const start = async (route) => {
      const home = makeFolder();
      const gateway = await Gateway.start(home.folder, { upstream: application.url, route });
      parts.push(home, gateway);
      return gateway;
    };
    [careful, trusting] = [await start(), await start('service_workers = "allow"')];
    browser = await openBrowser();
  });
  after(() => stopAll(parts, browser));

  /** Registers a worker from a page of the application: its scope when it is at work, or why not. */
  const register = (visitor, url, scope) => visitor.page.evaluate(async ([url, scope]) => {
    try {
      const registration = await navigator.serviceWorker.register(url, { scope });
      const worker = registration.installing ?? registration.waiting ?? registration.active;
      await new Promise((done) => {
        const look = () => worker.state === "activated" && done();
        worker.onstatechange = look;
        look();
      });
      return new URL(registration.scope).pathname;
    } catch (error) {
      return error.name;
    }
  }, [url, scope]);

  const signedIn = (gateway, test) => visiting(() => Visitor.open(browser, gateway()), async (visitor) => {
    await visitor.type("/login");
    await visitor.signIn("alice");
    await test(visitor, gateway().lines.length);
  });

  /** The gateway's pages come from the gateway, with and without a session. */
  async function ourPagesAreOurs(visitor) {
    for (const path of ["/login", "/.exeunt/session", "/.exeunt/goodbye"]) {
      const answer = await visitor.type(path);
      assert.equal(answer.fromServiceWorker(), false, path);
      assert.ok(!(await visitor.page.content()).includes(FORGED), path);
    }
    await visitor.signOut();
    assert.equal(await visitor.who(), null);
  }

  const careless = () => trusting;
  const usual = () => careful;

  it("one at / is not let in", signedIn(usual, async (visitor, since) => {
    assert.equal(await register(visitor, "/worker.js", "/"), "TypeError");
    const { status, note } = await careful.exchange("/worker.js", since);
    assert.deepEqual({ status, note }, { status: 403, note: "service_worker" });
    await ourPagesAreOurs(visitor);
  }));

  it("one in a folder of its own works there, and nowhere else", signedIn(usual, async (visitor) => {
    assert.equal(await register(visitor, "/app/worker.js", "/app/"), "/app/");
    const answer = await visitor.type("/app/anything");
    assert.equal(await answer.text(), FORGED);
    await ourPagesAreOurs(visitor);
  }));

  it("one in a folder cannot be allowed more by its application", signedIn(usual, async (visitor, since) => {
    assert.equal(await register(visitor, "/app/wide.js", "/"), "SecurityError");
    assert.equal((await careful.exchange("/app/wide.js", since)).status, 200, "it is the scope that is refused");
    await ourPagesAreOurs(visitor);
  }));

  it("one at / does forge our pages where the route trusts it", signedIn(careless, async (visitor) => {
    assert.equal(await register(visitor, "/worker.js", "/"), "/");
    const answer = await visitor.type("/login");
    assert.equal(answer.fromServiceWorker(), true);
    assert.equal(await answer.text(), FORGED);
  }));
});

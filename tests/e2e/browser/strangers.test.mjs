// What no person asked for does not sign out: other sites, and whatever a page loads by itself.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Gateway, makeFolder, PLAIN_NAME, Site, stopAll } from "./parts.mjs";
import { openBrowser, path, press, visiting, Visitor } from "./visitor.mjs";

/** Ways to make a browser request an address without a click; each has a sign-out address of its own. */
const QUIET = {
  image: (url) => `<img src="${url}">`,
  iframe: (url) => `<iframe src="${url}"></iframe>`,
  script: (url) => `<script src="${url}"></script>`,
  style: (url) => `<link rel="stylesheet" href="${url}">`,
  embed: (url) => `<embed src="${url}">`,
  prefetch: (url) => `<link rel="prefetch" href="${url}">`,
  fetch: (url) => `<script>fetch("${url}", { mode: "no-cors", credentials: "include" })</script>`,
};
const BYE = Object.fromEntries(["link", "form", "speculation", "prerender", ...Object.keys(QUIET)]
  .map((way) => [way, `/bye/${way}`]));

const document = (body) => `<!doctype html><title>Stranger</title><body>${body}</body>`;
const quietly = (target) => document(Object.entries(QUIET).map(([way, html]) => html(target + BYE[way])).join("\n"));
const link = (target) => document(`<a href="${target}${BYE.link}">Win a car</a>`);
const form = (target) => document(`<form method="post" action="${target}${BYE.form}"></form>
  <script>document.forms[0].submit()</script>`);
/** Speculation rules: the browser may load what a person might click on next, before that. */
const speculation = (action, url) => document(`<a href="${url}">Sign out</a>
  <script type="speculationrules">{"${action}": [{"urls": ["${url}"], "eagerness": "immediate"}]}</script>`);

/** Pages for one target each: the target is in the query of the address. */
const asked = (page) => (request, response) => {
  response.writeHead(200, { "Content-Type": "text/html" });
  response.end(page(new URL(request.url, "http://localhost").searchParams.get("target") ?? ""));
};
const STRANGER = { "/quietly": asked(quietly), "/link": asked(link), "/form": asked(form) };
const APPLICATION = {
  ...STRANGER, "/": document("Application"),
  "/speculation": speculation("prefetch", BYE.speculation), "/prerender": speculation("prerender", BYE.prerender),
};

describe("strangers do not sign out", () => {
  const parts = [];
  let browser, gateway, stranger;
  before(async () => {
    parts.push(makeFolder());
    const application = await Site.start(APPLICATION);
    stranger = await Site.start(STRANGER);
    parts.push(application, stranger);
    const logout = ["/logout", ...Object.values(BYE)];
    gateway = await Gateway.start(parts[0].folder, { upstream: application.url, logout });
    parts.push(gateway);
    browser = await openBrowser();
  });
  after(() => stopAll(parts, browser));

  const signedIn = (name, test) => visiting(() => Visitor.open(browser, gateway, name), async (visitor) => {
    await visitor.type("/login");
    await visitor.signIn("alice");
    await test(visitor, gateway.lines.length);
  });
  const stillSignedIn = async (visitor) => assert.equal(await visitor.who(), "alice", "still signed in");

  /** Waits until the gateway has answered all that the page loads by itself. */
  async function suffer(visitor, since) {
    const answers = await Promise.all(Object.keys(QUIET).map((way) => gateway.exchange(BYE[way], since)));
    // On plain http beyond loopback a frame looks like a navigation: it gets the confirm page, which no frame shows.
    const allowed = visitor.name === PLAIN_NAME ? [200, 403, 405] : [403];
    for (const answer of answers) assert.ok(allowed.includes(answer.status), JSON.stringify(answer));
    await stillSignedIn(visitor);
  }

  const STRANGERS = {
    localhost: ["127.0.0.1", "evil.test", "localhost"],
    [PLAIN_NAME]: ["evil.test", "evil.example.test"],
  };
  for (const [name, others] of Object.entries(STRANGERS)) {
    it(`${name}: what a page of the application loads by itself`, signedIn(name, async (visitor, since) => {
      await visitor.type("/quietly");
      await suffer(visitor, since);
    }));

    for (const other of others) {
      const visit = (visitor, page) =>
        visitor.page.goto(`${stranger.at(page, other)}?target=${encodeURIComponent(visitor.at(""))}`);

      it(`${name}: what a page of ${other} loads by itself`, signedIn(name, async (visitor, since) => {
        await visit(visitor, "/quietly");
        await suffer(visitor, since);
      }));

      it(`${name}: a link on ${other} asks first`, signedIn(name, async (visitor) => {
        await visit(visitor, "/link");
        const answer = await press(visitor.page, visitor.page.locator("a"));
        assert.equal(answer.status(), 200);
        await stillSignedIn(visitor);
        await press(visitor.page, visitor.page.locator(`form[method=post][action='${BYE.link}'] button`));
        assert.equal(await visitor.who(), null, "the button of that page is a person's");
      }));

      it(`${name}: a form that ${other} sends by itself`, signedIn(name, async (visitor) => {
        const sent = visitor.page.waitForResponse((answer) => new URL(answer.url()).pathname === BYE.form);
        await visit(visitor, "/form");
        assert.equal((await sent).status(), 403);
        await visitor.page.locator(`form[method=post][action='${BYE.form}'] button`).waitFor();
        await stillSignedIn(visitor);
      }));
    }
  }

  // Browsers speculate only where they trust the connection: not on plain http beyond loopback.
  for (const way of ["speculation", "prerender"]) {
    const what = `speculation rules (${way}) do not sign out, the click after them does`;
    it(what, signedIn("localhost", async (visitor, since) => {
      await visitor.type(`/${way}`);
      assert.equal((await gateway.exchange(BYE[way], since)).status, 403);
      await stillSignedIn(visitor);
      await press(visitor.page, visitor.page.locator("a"));
      assert.equal(path(visitor.page), "/.exeunt/goodbye");
      assert.equal(await visitor.who(), null);
    }));
  }
});

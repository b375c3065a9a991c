// What is left in the browser after a sign-out: nothing to read, nothing to send, and nothing that ends the next one.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Gateway, makeFolder, PLAIN_NAME, Site, stopAll } from "./parts.mjs";
import { goBack, openBrowser, path, press, visiting, Visitor } from "./visitor.mjs";

const SECRET = "the balance of alice is 42";
const tells =
  "<script>addEventListener('pageshow', (event) => { document.title = `kept: ${event.persisted}`; })</script>";
/** A page with a secret, as applications send it that think nothing or something of caches. */
const secret = (cache) => (request, response) => {
  response.writeHead(200, { "Content-Type": "text/html", ...(cache && { "Cache-Control": cache }) });
  response.end(`<!doctype html><title>x</title>${tells}<p>${SECRET}</p><a href="/logout">Sign out</a>`);
};
const PRIVATE = { "/": secret(), "/kept": secret("private, max-age=3600"), "/checked": secret("private, no-cache") };
const PUBLIC = { "/public/one": `<!doctype html><title>x</title>${tells}One`, "/public/two": "<!doctype html>Two" };

describe("afterwards", () => {
  const parts = [];
  let browser, gateway;
  before(async () => {
    parts.push(makeFolder());
    const application = await Site.start({ ...PRIVATE, ...PUBLIC });
    parts.push(application);
    gateway = await Gateway.start(parts[0].folder, { upstream: application.url });
    parts.push(gateway);
    browser = await openBrowser();
  });
  after(() => stopAll(parts, browser));
  const anybody = (name, test) => visiting(() => Visitor.open(browser, gateway, name), test);
  const signedIn = (name, test) => anybody(name, async (visitor) => {
    await visitor.type("/login");
    await visitor.signIn("alice");
    await test(visitor);
  });

  const NAMES = ["localhost", PLAIN_NAME];
  for (const name of NAMES) {
    it(`${name}: the cookie is for the gateway alone`, signedIn(name, async (visitor) => {
      const { value, domain, path, httpOnly, secure, sameSite, expires } = await visitor.sessionCookie();
      assert.deepEqual({ domain, path, httpOnly, secure, sameSite, expires },
        { domain: name, path: "/", httpOnly: true, secure: false, sameSite: "Lax", expires: -1 });
      assert.ok(!(await visitor.page.evaluate(() => document.cookie)).includes(value), "no script reads it");
      await visitor.signOut();
      const left = await visitor.context.cookies(visitor.at("/"));
      // The one that stays gives no access: it exempts a browser that has signed in before from the bans of others.
      assert.deepEqual(left.map((cookie) => cookie.name), ["exeunt-known"]);
      assert.ok(left.every((cookie) => cookie.httpOnly && cookie.sameSite === "Lax"));
    }));

    it(`${name}: who signs in after somebody else has a session of their own`, signedIn(name, async (visitor) => {
      const first = await visitor.sessionCookie();
      await visitor.type("/login");
      await press(visitor.page, visitor.page.locator("a[href*='switch']"));
      await visitor.signIn("bob");
      const second = await visitor.sessionCookie();
      assert.notEqual(second.value, first.value);
      assert.equal(await visitor.who(), "bob");
      assert.equal(await gateway.opens(first), false, "the first one is over");
      assert.equal(await gateway.opens(second), true);
    }));

    for (const address of Object.keys(PRIVATE)) {
      it(`${name}: going back to ${address} shows nothing private`, signedIn(name, async (visitor) => {
        await visitor.type(address);
        assert.match(await visitor.page.content(), new RegExp(SECRET));
        await visitor.signOut();
        await nothingIsLeft(visitor, address, 2);
      }));

      it(`${name}: nor does ${address} that was left before another tab signed out`, signedIn(name, async (visitor) => {
        await visitor.type(address);
        await visitor.type("/public/two");
        await visitor.signOut(await visitor.tab());
        await nothingIsLeft(visitor, address, 1);
      }));
    }
  }

  /** Goes back this number of pages, to one that was private. */
  async function nothingIsLeft(visitor, address, pages) {
    const since = gateway.lines.length;
    await goBack(visitor.page, pages);
    await visitor.page.locator("#password").waitFor();
    assert.equal(path(visitor.page), "/login");
    assert.ok(!(await visitor.page.content()).includes(SECRET));
    assert.equal((await gateway.exchange(address, since)).status, 303, "the gateway was asked, and sent to sign in");
  }

  it("this browser does keep pages that nothing protects", anybody("localhost", async (visitor) => {
    await visitor.type("/public/one");
    await visitor.type("/public/two");
    await goBack(visitor.page);
    await visitor.page.waitForFunction(() => document.title === "kept: true");
  }));

  it("reloading the goodbye page leaves alone who signed in meanwhile", signedIn("localhost", async (visitor) => {
    await visitor.type("/logout");
    assert.equal(path(visitor.page), "/.exeunt/goodbye");
    await visitor.signIn("bob", { page: await visitor.tab() });
    await visitor.page.reload();
    assert.equal(path(visitor.page), "/.exeunt/goodbye");
    assert.equal(await visitor.who(), "bob");
  }));

  // The answer to the button moves on to the goodbye page by itself: the form is not sent again.
  for (const name of NAMES) {
    it(`${name}: and so does reloading what a button brought`, signedIn(name, async (visitor) => {
      await visitor.signOut();
      await visitor.signIn("bob", { page: await visitor.tab() });
      await visitor.page.reload();
      assert.equal(await visitor.who(), "bob");
    }));
  }
});

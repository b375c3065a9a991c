// Sign in, be known to the application, fill the cart, and sign out in every way that people have.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Gateway, makeFolder, PLAIN_NAME, startShop, stopAll } from "./parts.mjs";
import { goodbye, openBrowser, path, press, visiting, Visitor } from "./visitor.mjs";

const DJANGO = {
  start: async (parts, folder) => {
    const shop = await startShop(folder);
    parts.push(shop);
    // The log out button of Django's admin, as it comes, leads to an address that is ours.
    return { upstream: `http://127.0.0.1:${shop.port}`, logout: ["/logout", "/admin/logout/"] };
  },
  async knows(visitor, user) {
    await visitor.type("/admin/");
    assert.equal(await visitor.page.innerText("#user-tools strong"), user);
    assert.match(await visitor.page.innerText("#content"), /Site administration/);
  },
  async buy(visitor) {
    await visitor.type("/");
    await visitor.page.fill("#buy input[name=item]", "lamp");
    await press(visitor.page, visitor.page.locator("#buy button"));
  },
  async cart(visitor) {
    await visitor.type("/");
    return visitor.page.locator("#cart li").allInnerTexts();
  },
  async button(visitor) {
    await visitor.type("/admin/");
    return visitor.page.locator("#logout-form button");
  },
};

const DEMO = {
  start: async () => ({ upstream: "demo" }),
  async knows(visitor, user) {
    await visitor.type("/");
    assert.equal(await visitor.page.innerText("header .visitor strong"), user);
  },
  async buy(visitor) {
    await visitor.type("/");
    await press(visitor.page, visitor.page.locator("button[name=add]").first());
  },
  async cart(visitor) {
    await visitor.type("/cart");
    return visitor.page.locator("tbody th").allInnerTexts();
  },
  async button(visitor) {
    await visitor.type("/login");
    return visitor.page.locator("form[action='/logout'] button");
  },
};

async function isOver(visitor, cookie) {
  assert.equal(await visitor.who(), null);
  assert.equal(await visitor.sessionCookie(), undefined, "the browser has forgotten the cookie");
  assert.equal(await visitor.gateway.opens(cookie), false, "whoever had copied it has nothing");
  await visitor.type("/");
  assert.equal(path(visitor.page), "/login");
}

/** On plain http beyond loopback no browser says who wanted a GET, so the gateway asks. */
async function agrees(visitor, answer) {
  if (visitor.name !== PLAIN_NAME) return;
  assert.equal(answer.status(), 200);
  assert.equal(path(visitor.page), "/logout");
  assert.equal(await visitor.who(), "alice", "asking ends nothing");
  await press(visitor.page, visitor.page.locator("form[method=post] button"));
  await goodbye(visitor.page);
}

for (const [title, application] of Object.entries({ "Django's admin": DJANGO, "the demo": DEMO })) {
  describe(title, () => {
    const parts = [];
    let browser, gateway;
    before(async () => {
      parts.push(makeFolder());
      const { folder } = parts[0];
      gateway = await Gateway.start(folder, await application.start(parts, folder));
      parts.push(gateway);
      browser = await openBrowser();
    });
    after(() => stopAll(parts, browser));

    for (const name of ["localhost", PLAIN_NAME]) {
      const signedIn = (test) => visiting(() => Visitor.open(browser, gateway, name), async (visitor) => {
        await visitor.type("/");
        assert.equal(path(visitor.page), "/login", "strangers are asked who they are");
        await visitor.signIn("alice");
        assert.equal(path(visitor.page), "/", "and are then where they wanted to be");
        await test(visitor, await visitor.sessionCookie());
      });

      it(`${name}: is told who it is, and keeps a cart`, signedIn(async (visitor) => {
        await application.knows(visitor, "alice");
        assert.deepEqual(await application.cart(visitor), []);
        await application.buy(visitor);
        assert.equal((await application.cart(visitor)).length, 1);
      }));

      it(`${name}: signing out by the button`, signedIn(async (visitor, cookie) => {
        const answer = await press(visitor.page, await application.button(visitor));
        assert.equal(answer.status(), 200);
        await goodbye(visitor.page);
        assert.match(await visitor.page.innerText("main"), /You are signed out/);
        await isOver(visitor, cookie);
      }));

      it(`${name}: signing out by a link`, signedIn(async (visitor, cookie) => {
        const answer = await press(visitor.page, visitor.page.locator("a[href='/logout']"));
        if (name === "localhost") assert.equal(path(visitor.page), "/.exeunt/goodbye");
        await agrees(visitor, answer);
        await isOver(visitor, cookie);
      }));

      it(`${name}: signing out by typing the address`, signedIn(async (visitor, cookie) => {
        const answer = await visitor.type("/logout");
        if (name === "localhost") assert.equal(path(visitor.page), "/.exeunt/goodbye");
        await agrees(visitor, answer);
        await isOver(visitor, cookie);
      }));
    }
  });
}

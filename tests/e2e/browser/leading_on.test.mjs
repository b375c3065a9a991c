// Where the forms lead: to wherever the application sends people, other origins included, and with what stands behind
// # in the address they asked for; and what happens where the application has a /login of its own.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Gateway, makeFolder, PASSWORD, PLAIN_NAME, Site, stopAll, WRONG_PASSWORD } from "./parts.mjs";
import { openBrowser, path, press, visiting, Visitor } from "./visitor.mjs";

const document = (title) => `<!doctype html><title>${title}</title><h1>${title}</h1>`;
const redirect = (target, status = 302) => (request, response) =>
  response.writeHead(status, { Location: typeof target === "function" ? target() : target }).end();

describe("leading on", () => {
  const parts = [];
  let browser, gateway, moved, sso;
  before(async () => {
    parts.push(makeFolder(), makeFolder());
    sso = await Site.start({
      "/here": document("Elsewhere"),
      "/chain": redirect(() => sso.at("/chain2", "sso.evil.test")),
      "/chain2": redirect(() => sso.at("/here", "127.0.0.1"), 307),
    });
    const application = await Site.start({
      "/": document("Application"),
      "/queues": document("Queues"),
      "/sso": redirect(() => sso.at("/chain", "sso.test")),
      "/public/bye": redirect(() => sso.at("/chain", "sso.test")),
      "/needs": redirect("/login?next=/needs"),
      "/login": document("The application's own form"),
      "/logout": document("The application's own goodbye"),
    });
    parts.push(sso, application);
    gateway = await Gateway.start(parts[0].folder, { upstream: application.url, next: "/public/bye" });
    moved = await Gateway.start(parts[1].folder, {
      upstream: application.url, login: "/.exeunt/login", logout: ["/.exeunt/logout"],
    });
    parts.push(gateway, moved);
    browser = await openBrowser();
  });
  after(() => stopAll(parts, browser));
  const anybody = (name, test, at = () => gateway) => visiting(() => Visitor.open(browser, at(), name), test);
  const elsewhere = (visitor) => visitor.page.waitForURL(sso.at("/here", "127.0.0.1"));

  for (const name of ["localhost", PLAIN_NAME]) {
    it(`${name}: signing in goes on to another origin, by several redirects`, anybody(name, async (visitor) => {
      await visitor.type("/sso");
      assert.equal(path(visitor.page), "/login");
      await visitor.signIn("alice");
      await elsewhere(visitor);
    }));

    it(`${name}: so it does after a wrong password`, anybody(name, async (visitor) => {
      await visitor.type("/sso");
      await fill(visitor, WRONG_PASSWORD);
      await visitor.signIn("alice");
      await elsewhere(visitor);
    }));

    it(`${name}: signing out by a button goes on to another origin`, anybody(name, async (visitor) => {
      await visitor.type("/");
      await visitor.signIn("alice");
      await visitor.type("/login");
      await visitor.page.locator("form[action='/logout'] button").click();
      await elsewhere(visitor);
      assert.equal(await visitor.who(), null);
    }));

    it(`${name}: so does a sign-out that was confirmed`, anybody(name, async (visitor) => {
      await visitor.type("/");
      await visitor.signIn("alice");
      const link = `data:text/html,<a href="${visitor.at("/logout")}">x</a>`;
      await visitor.page.goto(link);
      await press(visitor.page, visitor.page.locator("a"));
      assert.equal(await visitor.page.title(), "Sign out? · Exeunt");
      await visitor.page.locator("form[action='/logout'] button").click();
      await elsewhere(visitor);
      assert.equal(await visitor.who(), null);
    }));

    it(`${name}: and one by the form that a refused sign-out shows`, anybody(name, async (visitor) => {
      await visitor.type("/");
      await visitor.signIn("alice");
      const form = `<form method=post action="${visitor.at("/logout")}"><button>x</button></form>`;
      await visitor.page.goto(`data:text/html,${form}`);
      await press(visitor.page, visitor.page.locator("button"));
      await visitor.page.locator("form[action='/logout'] button").click();
      await elsewhere(visitor);
      assert.equal(await visitor.who(), null);
    }));
  }

  /** Sends the form, and comes back to it. */
  async function fill(visitor, password) {
    await visitor.page.fill("#username", "alice");
    await visitor.page.fill("#password", password);
    await press(visitor.page, visitor.page.locator("form button"));
    assert.match(await visitor.page.innerText("#problem"), /^Wrong user name or password/);
  }
  const isAt = (visitor, address) => assert.equal(visitor.page.url(), visitor.at(address));

  // Ways from an address with a fragment to the page behind the form.
  const WAYS = {
    "the form": (visitor) => visitor.signIn("alice"),
    "the Enter key": async (visitor) => {
      await visitor.page.fill("#username", "alice");
      await visitor.page.fill("#password", PASSWORD);
      await Promise.all([visitor.page.waitForURL(visitor.at("/queues#/a?b=c")), visitor.page.keyboard.press("Enter")]);
    },
    "wrong passwords before": async (visitor) => {
      await fill(visitor, WRONG_PASSWORD);
      await fill(visitor, WRONG_PASSWORD);
      await visitor.signIn("alice");
    },
    "a reload of the form": async (visitor) => {
      await visitor.page.reload();
      await visitor.signIn("alice");
    },
    "the password shown": async (visitor) => {
      if (await visitor.page.locator(".reveal").count()) await visitor.page.locator(".reveal").click();
      await visitor.signIn("alice");
    },
  };
  for (const [way, go] of Object.entries(WAYS)) {
    for (const [at, which] of [["/login", () => gateway], ["/.exeunt/login", () => moved]]) {
      for (const javaScriptEnabled of [true, false]) {
        const scripts = javaScriptEnabled ? "with" : "without";
        it(`${at}, ${scripts} scripts: ${way} keeps what stands behind #`, visiting(
          () => Visitor.open(browser, which(), "localhost", { javaScriptEnabled }), async (visitor) => {
            await visitor.type("/queues#/a?b=c");
            assert.equal(path(visitor.page), at);
            await go(visitor);
            isAt(visitor, "/queues#/a?b=c");
          }));
      }
    }
  }

  it("an application that needs /login: the page says what to write", anybody("localhost", async (visitor) => {
    await visitor.type("/login");
    await visitor.signIn("alice");
    await visitor.type("/needs");
    assert.equal(path(visitor.page), "/login", "the application sends people to what it takes for its form");
    assert.equal(await advice(visitor), 0);
    await press(visitor.page, visitor.page.locator("a", { hasText: "Continue" }));
    assert.equal(path(visitor.page), "/login");
    assert.equal(await advice(visitor), 1);
    await visitor.page.reload();
    assert.equal(await advice(visitor), 0, "a reload is nobody's fault");
    await visitor.type("/login");
    assert.equal(await advice(visitor), 0, "nor is an address that was typed");
  }));

  it("with what it said written, /login and /logout are the application's", anybody("localhost", async (visitor) => {
    await visitor.type("/needs");
    assert.equal(path(visitor.page), "/.exeunt/login");
    await visitor.signIn("alice");
    assert.equal(path(visitor.page), "/login");
    assert.equal(await visitor.page.title(), "The application's own form");
    await visitor.type("/logout");
    assert.equal(await visitor.page.title(), "The application's own goodbye");
    assert.equal(await visitor.who(), "alice");
    await visitor.type("/.exeunt/logout");
    assert.equal(path(visitor.page), "/.exeunt/goodbye");
    assert.equal(await visitor.who(), null);
  }, () => moved));

  const advice = (visitor) => visitor.page.locator("pre", { hasText: 'path = "/.exeunt/login"' }).count();
});

// A user with Chromium.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import * as evidence from "./evidence.mjs";
import { PASSWORD, PATIENCE } from "./parts.mjs";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP *.test 127.0.0.1",
];
/** What is set for tests by default, and what people's browsers do otherwise. */
const AS_PEOPLE_HAVE_IT = ["--disable-back-forward-cache", "--disable-prompt-on-repost"];

/** A browser with a profile of its own, which is gone with it. */
export function openBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS, ignoreDefaultArgs: AS_PEOPLE_HAVE_IT,
  });
}

/** One browser profile at one gateway, under one name of it. */
export class Visitor {
  static async open(browser, gateway, name = "localhost", more = {}) {
    const visitor = new Visitor();
    const context = evidence.watch(await browser.newContext({ locale: "en-GB", ...more }));
    Object.assign(visitor, { gateway, name, context });
    visitor.context.setDefaultTimeout(PATIENCE);
    visitor.page = await visitor.tab();
    return visitor;
  }

  tab() {
    return this.context.newPage();
  }

  at(path) {
    return this.gateway.at(path, this.name);
  }

  /** As if typed into the address bar. */
  type(path, page = this.page) {
    return page.goto(this.at(path));
  }

  /** By the form. */
  async signIn(user = "alice", { page = this.page, password = PASSWORD } = {}) {
    if (!(await page.locator("#password").count())) await this.type("/login?switch=1", page);
    evidence.secret(password);
    await page.fill("#username", user);
    await page.fill("#password", password);
    await press(page, page.locator("form", { has: page.locator("#password") }).locator("button"));
    assert.equal(await page.locator("#problem").count(), 0, "the sign-in was refused");
  }

  /** By the button of the gateway's own page. */
  async signOut(page = this.page) {
    await this.type("/login", page);
    await press(page, page.locator("form[action='/logout'] button"));
    await goodbye(page);
  }

  /** Who is signed in in this browser, or null; asked in a tab of its own. */
  async who() {
    const page = await this.tab();
    // Leads to the page of the user's sessions, or to the sign-in page.
    await this.type("/.exeunt/session", page);
    const who = path(page) === "/.exeunt/sessions" ? await namedUser(page) : null;
    assert.ok(who || path(page).endsWith("/login"), page.url());
    await page.close();
    return who;
  }

  async sessionCookie() {
    return (await this.context.cookies(this.at("/"))).find((cookie) => cookie.name === "exeunt");
  }

  /** What all tabs show, for people who read why a test failed. */
  async screen() {
    const text = (page) => page.innerText("body", { timeout: 1000 }).catch((error) => error);
    const show = async (page) => `--- ${page.url()}\n${await text(page)}`;
    return (await Promise.all(this.context.pages().map(show))).join("\n");
  }
}

/** Clicks on what loads another page, and gives the answer that it brought. */
export async function press(page, locator) {
  const loaded = page.waitForEvent("domcontentloaded");
  const answered = page.waitForResponse((answer) => answer.request().isNavigationRequest() && !redirects(answer));
  await Promise.all([loaded, answered, locator.click()]);
  return answered;
}

/** By the page's own script, after the call has returned: going back ends the page that is asked. */
export function goBack(page, pages = 1) {
  return page.evaluate((pages) => { setTimeout(() => history.go(-pages)); }, pages);
}

/** Waits for the goodbye page, to which the answer to a sign-out moves on by itself. */
export function goodbye(page) {
  return page.waitForURL((url) => url.pathname === "/.exeunt/goodbye");
}

const redirects = (answer) => answer.status() >= 300 && answer.status() < 400;

export const path = (page) => new URL(page.url()).pathname;

/** The user whose sessions the page shows. */
export const namedUser = async (page) => (await page.innerText(".site")).split(" ")[0];

/** A test with a visitor of its own; if it fails, it says what was on the screen. */
export function visiting(open, test) {
  return async () => {
    const visitor = await open();
    try {
      await test(visitor);
    } catch (error) {
      throw new Error(`${error.message}\n${await visitor.screen()}`, { cause: error });
    } finally {
      await visitor.context.close();
    }
  };
}

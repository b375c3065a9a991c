// What every page must do for all users: no violation that axe-core knows of, all of it by keyboard, nothing to
// scroll sideways on the narrowest phone, no script needed, nothing that its own policy forbids.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { PASSWORD } from "./parts.mjs";
import { PAGES, openStage, openWindow, signIn } from "./stage.mjs";
import { openBrowser } from "./visitor.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const EVERY_RULE = { resultTypes: ["violations"], rules: { "target-size": { enabled: true } } };
const NARROW = [320, 568];

let stage, browser;
before(async () => ([stage, browser] = await Promise.all([openStage(), openBrowser()])));
after(() => Promise.all([browser?.close(), stage?.close()]));

/** Shows a page in a window of its own to `look`. */
async function shown(name, options, look) {
  const window = await openWindow(browser, options);
  try {
    const page = await window.newPage();
    const complaints = [];
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    await PAGES[name](page, stage);
    // A page that a click led to is there before its style is.
    await page.waitForLoadState("load");
    await look(page, complaints);
  } finally {
    await window.close();
  }
}

const violations = (page) =>
  page.evaluate(async ([axe, options]) => {
    new Function(axe)();
    const { violations } = await globalThis.axe.run(document, options);
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
  }, [AXE, EVERY_RULE]);

for (const name of Object.keys(PAGES)) {
  for (const locale of ["en", "de"])
    for (const theme of ["light", "dark"])
      test(`${name}, ${locale}, ${theme}: axe-core finds nothing`, () =>
        shown(name, { theme, locale, bypassCSP: true }, async (page) => {
          assert.equal(await page.getAttribute("html", "lang"), locale);
          assert.deepEqual(await violations(page), []);
        }));

  test(`${name}: by keyboard, without scripts, on a narrow phone`, () =>
    shown(name, { size: NARROW, javaScriptEnabled: false }, async (page, complaints) => {
      const controls = await page.locator("a, button, input:not([type=hidden], [hidden])").all();
      const first = page.locator("[autofocus]");
      if (await first.count()) assert.ok(await isFocused(first), "where typing goes");
      for (const control of controls) {
        await control.focus();
        assert.ok(await isFocused(control), "a control that cannot be reached");
        const { x, width, height } = await control.boundingBox();
        assert.ok(x >= 0 && x + width <= NARROW[0] && height >= 44, `${x}, ${width}, ${height}`);
      }
      assert.deepEqual(complaints.filter((text) => !text.startsWith("Failed to load resource")), []);
    }));

  test(`${name}: nothing to scroll sideways, and the tab key goes through all of it in order`, () =>
    shown(name, { size: NARROW, bypassCSP: true }, async (page) => {
      const [wide, narrow] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
      assert.ok(wide <= narrow, `${wide} > ${narrow}`);
      const controls = page.locator("a, button, input:not([type=hidden], [hidden])");
      const wanted = await controls.evaluateAll((all) => all.map((one) => one.outerHTML));
      const reached = [];
      while (reached.length < 2 * wanted.length + 2) {
        await page.keyboard.press("Tab");
        reached.push(await page.evaluate(() => document.activeElement.outerHTML));
      }
      const begun = reached.indexOf(wanted[0]);
      assert.deepEqual(reached.slice(begun, begun + wanted.length), wanted);
    }));
}

test("a session can be ended on the narrowest phone: its button has one line, in the longest language", async () => {
  const other = await openWindow(browser);
  await signIn(await other.newPage(), stage);
  await shown("sessions", { size: NARROW, locale: "de" }, async (page) => {
    const heights = await page.locator(".sessions .button").evaluateAll((all) =>
      all.map((one) => {
        const text = document.createRange();
        text.selectNodeContents(one);
        return text.getBoundingClientRect().height / parseFloat(getComputedStyle(one).lineHeight);
      }),
    );
    assert.ok(heights.length > 0 && heights.every((lines) => lines < 1.5), `${heights}`);
  });
  await other.close();
});

const isFocused = async (locator) => (await locator.and(locator.page().locator(":focus")).count()) === 1;

test("Enter signs in, and signs out", async () => {
  const window = await openWindow(browser, { javaScriptEnabled: false });
  const page = await window.newPage();
  await page.goto(stage.at("/app/"));
  // The focus is set when the page is first rendered, which may be after it has loaded.
  await page.locator("#username:focus").waitFor();
  await page.keyboard.type("alice");
  await page.keyboard.press("Tab");
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL(stage.at("/app/"));
  await page.goto(stage.at("/login"));
  for (const text of ["Continue", "Use another account", "Your sessions", "Change password", "Sign out"]) {
    await page.keyboard.press("Tab");
    assert.equal(await page.locator(":focus").textContent(), text);
  }
  await page.keyboard.press("Enter");
  await page.waitForSelector("text=You are signed out");
  await page.goto(stage.at("/app/"));
  assert.equal(new URL(page.url()).pathname, "/login");
  await window.close();
});

test("a refused account is led to another one and back to the page", async () => {
  const window = await openWindow(browser);
  const page = await window.newPage();
  await signIn(page, stage, "bob");
  await page.goto(stage.at("/staff/x?y=z"));
  await page.click("text=Use another account");
  assert.equal(await page.inputValue("[name=next]"), "/staff/x?y=z");
  await window.close();
});

test("a brand of one's own: its name, a weak colour made readable, a logo that runs nothing", async () => {
  const evil = `<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30"><script>document.title = "ran"</script>
    <rect width="90" height="30" fill="orange"/></svg>`;
  const more = '[brand]\nname = "Bücher & Söhne"\nlogo = "logo.svg"\ncolour = "#ffe14d"\n';
  const own = await openStage({ more, write: (folder) => writeFileSync(join(folder, "logo.svg"), evil) });
  try {
    for (const theme of ["light", "dark"]) {
      const window = await openWindow(browser, { theme, bypassCSP: true });
      const page = await window.newPage();
      await page.goto(own.at("/login"));
      assert.equal(await page.title(), "Sign in · Bücher & Söhne");
      assert.equal(await page.locator("img.logo").evaluate((picture) => picture.naturalWidth), 90);
      assert.deepEqual(await violations(page), []);
      await window.close();
    }
    const window = await openWindow(browser);
    const page = await window.newPage();
    await page.goto(own.at("/.exeunt/logo"));
    assert.notEqual(await page.title(), "ran");
    await window.close();
  } finally {
    await own.close();
  }
});

test("the button shows the password, hides it again, and hides it before it is sent", async () => {
  const window = await openWindow(browser);
  const page = await window.newPage();
  const complaints = [];
  page.on("console", (message) => complaints.push(message.text()));
  await page.goto(stage.at("/login"));
  await page.fill("#password", "secret");
  const type = () => page.getAttribute("#password", "type");
  assert.equal(await type(), "password");
  await page.getByRole("button", { name: "Show password" }).click();
  assert.equal(await type(), "text");
  assert.equal(await page.inputValue("#password"), "secret");
  await page.getByRole("button", { name: "Hide password" }).press("Enter");
  assert.equal(await type(), "password", "and the form was not sent");
  await page.getByRole("button", { name: "Show password" }).press("Space");
  await page.evaluate(() => document.forms[0].addEventListener("submit", (event) => event.preventDefault()));
  await page.fill("#username", "alice");
  await page.press("#password", "Enter");
  assert.equal(await type(), "password", "browsers offer to keep it, and do not suggest it to the next person");
  assert.deepEqual(complaints, [], "the policy allows the script");
  await window.close();
});

test("without scripts there is no such button", async () => {
  const window = await openWindow(browser, { javaScriptEnabled: false });
  const page = await window.newPage();
  await page.goto(stage.at("/login"));
  assert.equal(await page.locator("[type=button], .reveal").count(), 0);
  await window.close();
});

test("the policy runs no other script on the sign-in page", async () => {
  const window = await openWindow(browser);
  const page = await window.newPage();
  await page.goto(stage.at("/login"));
  const ran = await page.evaluate(() => {
    const script = Object.assign(document.createElement("script"), { textContent: "globalThis.ran = true" });
    document.body.append(script);
    document.body.insertAdjacentHTML("beforeend", `<img src="/none" onerror="globalThis.ran = true">`);
    // This listener is called after the handler of the attribute, if that one is called at all.
    const failed = (done) => document.body.lastElementChild.addEventListener("error", done);
    return new Promise(failed).then(() => globalThis.ran ?? false);
  });
  assert.equal(ran, false);
  await window.close();
});

test("the sign-in page says for which site it is", async () => {
  for (const [locale, text] of [["en", "to localhost"], ["de", "bei localhost"]]) {
    const window = await openWindow(browser, { locale });
    const page = await window.newPage();
    await page.goto(stage.at("/login"));
    assert.equal(await page.innerText(".site"), text);
    await window.close();
  }
});

for (const name of ["goodbye", "goodbye-by-link", "login", "login-wrong", "signed-in", "confirm-refused"])
  for (const locale of ["en", "de"])
    test(`${name}, ${locale}: a small screen shows all of it`, () =>
      shown(name, { size: [1280, 720], locale }, async (page) => {
        const [high, seen] = await page.evaluate(() => [document.documentElement.scrollHeight, innerHeight]);
        assert.ok(high <= seen, `${high} > ${seen}`);
      }));

for (const [name, locale, farewell, close] of [
  ["goodbye", "en", "Goodbye, alice.",
    "Close other tabs of these applications: an open page acts for the next person who signs in."],
  ["goodbye-by-link", "de", "Auf Wiedersehen, alice.", "Schließen Sie andere Tabs dieser Anwendungen"],
])
  test(`${name}, ${locale}: it names who was signed in, and a crafted link shows nobody's text`, () =>
    shown(name, { locale }, async (page) => {
      const text = await page.innerText("main");
      assert.ok(text.includes(farewell) && text.includes(close), text);
      const [receipt, own] = [await page.innerText("code"), page.url()];
      for (const [from, to] of [["user=alice", "user=Call+us"], ["end=1", "end=7"], [/mac=.*/, ""]]) {
        const address = new URL(own);
        address.search = address.search.replace(from, to);
        await page.goto(address.href);
        const crafted = await page.innerText("main");
        for (const word of ["Call us", "alice", receipt]) assert.ok(!crafted.includes(word), crafted);
      }
    }));

// The whole way through the demo shop: everything of the first user ends with one sign-out, and the next user of the
// browser finds nothing of it.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Gateway, makeFolder, stopAll } from "./parts.mjs";
import { goodbye, openBrowser, press, visiting, Visitor } from "./visitor.mjs";

/** The cookies that reach the shop, as `name=value`. */
async function cookiesAtTheShop(visitor) {
  const page = await visitor.tab();
  const { headers } = await (await visitor.type("/headers.json", page)).json();
  await page.close();
  return [headers.cookie ?? []].flat().flatMap((line) => line.split("; "));
}

async function cart(visitor) {
  await visitor.type("/cart");
  return visitor.page.locator("tbody th").allInnerTexts();
}

const shows = (page, id, text) => page.waitForFunction(
  ([id, text]) => document.getElementById(id).value.startsWith(text), [id, text]);

describe("the demo shop", () => {
  const parts = [];
  let browser, gateway;
  before(async () => {
    parts.push(makeFolder());
    gateway = await Gateway.start(parts[0].folder, { upstream: "demo" });
    parts.push(gateway);
    browser = await openBrowser();
  });
  after(() => stopAll(parts, browser));

  it("ends with one sign-out, and the next user finds nothing of it", visiting(
    () => Visitor.open(browser, gateway, "localhost"),
    async (visitor) => {
      await visitor.type("/");
      await visitor.signIn("alice");
      await press(visitor.page, visitor.page.locator("button[name=add]").first());
      assert.equal((await cart(visitor)).length, 1);
      const tickers = [await visitor.tab(), await visitor.tab()];
      for (const ticker of tickers) {
        await visitor.type("/ticker", ticker);
        await shows(ticker, "ws", "live");
        await shows(ticker, "sse", "live");
      }
      const hers = await cookiesAtTheShop(visitor);
      assert.ok(hers.some((pair) => pair.startsWith("shopsession=")), `${hers}`);

      await visitor.type("/");
      await press(visitor.page, visitor.page.locator("a[href='/logout']"));
      await goodbye(visitor.page);
      for (const ticker of tickers) {
        await shows(ticker, "ws", "ended: session ended");
        await shows(ticker, "sse", "ended");
      }
      const receipt = await visitor.page.innerText(".receipt");
      assert.match(receipt, /Your session has ended/);
      assert.match(receipt, /4 open connections were closed/);
      assert.match(receipt, /1 cookie of an application was removed/);

      await visitor.signIn("bob");
      assert.deepEqual(await cart(visitor), []);
      const his = await cookiesAtTheShop(visitor);
      assert.deepEqual(his.filter((pair) => hers.includes(pair)), []);
    },
  ));
});

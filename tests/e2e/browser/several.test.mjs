// Two and three gateways on one Redis server, behind an nginx without stickiness: to a browser they are one.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { stopAll } from "./parts.mjs";
import { startSeveral } from "./several.mjs";
import { goodbye, openBrowser, path, press, visiting, Visitor } from "./visitor.mjs";

const SERVED = "x-served";
/** Chromium opens six connections to one host (but for WebSockets): each ticker keeps one of them. */
const TICKERS = 4;

const shows = (page, id, text) => page.waitForFunction(
  ([id, text]) => document.getElementById(id).value.startsWith(text), [id, text]);

/** One request more, so that those that follow do not go the ways of those before. */
const nudge = (visitor) => visitor.context.request.get(visitor.at("/.exeunt/style.css"));

/** A ticker in a tab of its own, and the gateways that its WebSocket and its event stream lead through. */
async function openTicker(visitor) {
  const page = await visitor.tab();
  const tools = await visitor.context.newCDPSession(page);
  await tools.send("Network.enable");
  const socket = new Promise((done) => tools.once("Network.webSocketHandshakeResponseReceived", ({ response }) => {
    done(Object.entries(response.headers).find(([name]) => name.toLowerCase() === SERVED)[1]);
  }));
  const stream = page.waitForResponse((answer) => new URL(answer.url()).pathname === "/ticker/sse");
  await visitor.type("/ticker", page);
  await shows(page, "ws", "live");
  await shows(page, "sse", "live");
  return { page, through: [await socket, (await stream).headers()[SERVED]] };
}

/** Tickers that lead through every gateway. */
async function openTickers(visitor, gateways) {
  const tickers = [];
  const used = () => new Set(tickers.flatMap(({ through }) => through));
  while (tickers.length < 2 || used().size < gateways.length) {
    assert.ok(tickers.length < TICKERS, `only through ${[...used()]}`);
    tickers.push(await openTicker(visitor));
    if (used().size < gateways.length) await nudge(visitor);
  }
  return tickers;
}

/** Loads an address until every gateway has answered it, and gives what `read` makes of each page. */
async function atEach(visitor, gateways, address, read) {
  const [served, found] = [new Set(), []];
  for (let time = 0; served.size < gateways.length; time += 1) {
    assert.ok(time < 4 * gateways.length, `${address} was answered by ${[...served]} alone`);
    const answer = await visitor.type(address);
    if (served.has(answer.headers()[SERVED])) await nudge(visitor);
    served.add(answer.headers()[SERVED]);
    found.push(await read(visitor.page));
  }
  return found;
}

const cart = (visitor, gateways) =>
  atEach(visitor, gateways, "/cart", (page) => page.locator("tbody th").allInnerTexts());

/** What a receipt says about this number of connections. */
const closedConnections = (count) =>
  [/No connections were open through this server/, /1 open connection was closed/][count]
  ?? new RegExp(`${count} open connections were closed`);

/** Waits for the access lines of this number of connections that ended with their session. */
async function toldOfCuts(gateway, count) {
  let told = 0;
  const tells = (line) => line.includes('"cut":"session_ended"') && ++told === count;
  if (count) await gateway.until(tells, `${count} cut connections`);
  assert.equal(told, count);
}

for (const count of [2, 3]) {
  describe(`${count} gateways behind nginx`, () => {
    const parts = [];
    let browser, gateways, front;
    before(async () => {
      ({ gateways, front } = await startSeveral(count, parts));
      browser = await openBrowser();
    });
    after(() => stopAll(parts, browser));

    it("end a session with one sign-out, and the next user finds nothing of it", visiting(
      () => Visitor.open(browser, front),
      async (visitor) => {
        await visitor.type("/");
        await visitor.signIn("alice");
        await press(visitor.page, visitor.page.locator("button[name=add]").first());
        for (const lines of await cart(visitor, gateways)) assert.equal(lines.length, 1);
        const tickers = await openTickers(visitor, gateways);
        const cookie = await visitor.sessionCookie();

        await visitor.type("/");
        const [answer] = await Promise.all([
          visitor.page.waitForResponse((answer) => new URL(answer.url()).pathname === "/logout"),
          press(visitor.page, visitor.page.locator("a[href='/logout']")),
        ]);
        await goodbye(visitor.page);
        for (const gateway of gateways) assert.equal(await gateway.opens(cookie), false);
        for (const { page } of tickers) {
          await shows(page, "ws", "ended: session ended");
          await shows(page, "sse", "ended");
        }
        // The receipt counts those of the gateway that has answered. Each gateway tells of its own in its log.
        const those = (address) => tickers.flatMap(({ through }) => through).filter((one) => one === address).length;
        const receipt = await visitor.page.innerText(".receipt");
        assert.match(receipt, /Your session has ended/);
        assert.match(receipt, closedConnections(those(answer.headers()[SERVED])));
        for (const gateway of gateways) await toldOfCuts(gateway, those(`127.0.0.1:${gateway.port}`));
        assert.match(receipt, /1 cookie of an application was removed/);

        const asked = await atEach(visitor, gateways, "/cart", (page) => path(page));
        assert.deepEqual(new Set(asked), new Set(["/login"]));
        await visitor.signIn("bob");
        for (const lines of await cart(visitor, gateways)) assert.deepEqual(lines, []);
      },
    ));
  });
}

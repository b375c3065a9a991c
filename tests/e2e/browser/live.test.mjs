// What a page keeps open ends with the session, whichever tab ends it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { eventStream, Gateway, makeFolder, PLAIN_NAME, Site, stopAll } from "./parts.mjs";
import { openBrowser, visiting, Visitor } from "./visitor.mjs";

const PAGE = `<!doctype html><title>Live</title><p id="socket"></p><p id="stream"></p><script>
  const show = (id, text) => { document.getElementById(id).textContent = text; };
  const socket = new WebSocket(new URL("/socket", location).href.replace("http", "ws"));
  socket.onmessage = (event) => show("socket", event.data);
  socket.onclose = (event) => show("socket", "closed " + event.code + " " + event.reason);
  const stream = new EventSource("/stream");
  stream.onmessage = (event) => show("stream", event.data);
  stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) show("stream", "closed"); };
</script>`;

/** The server's half of a WebSocket that says one thing (RFC 6455 4.2.2 and 5.2), and tells when it ends. */
function socket(request, connection, ended) {
  const key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  const accept = createHash("sha1").update(key).digest("base64");
  connection.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`
    + `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  connection.write(Buffer.concat([Buffer.from([0x81, 4]), Buffer.from("live")]));
  connection.on("error", () => {}).on("data", () => {}).on("end", () => connection.end()).on("close", ended);
}

describe("live connections", () => {
  const parts = [];
  let browser, gateway, upstreamEnded;
  before(async () => {
    parts.push(makeFolder());
    const application = await Site.start({ "/": PAGE, "/stream": eventStream });
    application.server.on("upgrade", (request, connection) => {
      upstreamEnded = new Promise((ended) => socket(request, connection, ended));
    });
    parts.push(application);
    gateway = await Gateway.start(parts[0].folder, { upstream: application.url });
    parts.push(gateway);
    browser = await openBrowser();
  });
  after(() => stopAll(parts, browser));

  const shows = (visitor, id, text) => visitor.page.locator(`#${id}:text-is("${text}")`).waitFor();

  for (const name of ["localhost", PLAIN_NAME]) {
    const visit = () => Visitor.open(browser, gateway, name);
    it(`${name}: end when another tab signs out`, visiting(visit, async (visitor) => {
      await visitor.type("/");
      await visitor.signIn("alice");
      await shows(visitor, "socket", "live");
      await shows(visitor, "stream", "live");
      const since = gateway.lines.length;
      await visitor.signOut(await visitor.tab());

      await shows(visitor, "socket", "closed 1008 session ended");
      await upstreamEnded;
      await shows(visitor, "stream", "closed");
      assert.equal((await refused("/stream", since)).status, 401, "the browser asked again by itself");

      const again = await visitor.page.evaluate(() => new Promise((done) => {
        const socket = new WebSocket(new URL("/socket", location).href.replace("http", "ws"));
        socket.onopen = () => done("open");
        socket.onclose = (event) => done(`closed ${event.code}`);
      }));
      assert.equal(again, "closed 1006");
      assert.equal((await refused("/socket", since)).status, 401);
    }));
  }

  /** The access line of an exchange without a session. */
  const refused = (path, since) => gateway.exchange(path, since, (line) => line.user === null);
});

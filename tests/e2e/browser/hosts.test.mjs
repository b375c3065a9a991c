// One sign-in for several host names, and one sign-out.

import assert from "node:assert/strict";
import { once } from "node:events";
import http from "node:http";
import { after, before, describe, it } from "node:test";
import { eventStream, Gateway, makeFolder, PASSWORD, Site, stopAll } from "./parts.mjs";
import { goodbye, namedUser, openBrowser, press, visiting, Visitor } from "./visitor.mjs";

/** The login host first. Two of one site, and one of another. */
const HOSTS = ["login.example.test", "shop.example.test", "blog.other.test"];
const [LOGIN, SHOP, BLOG] = HOSTS;

const PAGE = `<!doctype html><title>Application</title><h1>Application</h1><p id="stream"></p><script>
  localStorage.setItem("mine", "1");
  const stream = new EventSource("/stream");
  const show = (text) => { document.getElementById("stream").textContent = text; };
  stream.onmessage = (event) => show(event.data);
  stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) show("closed"); };
</script>`;

/** The gateway's configuration needs the public port before it starts, so a proxy listens there and forwards all. */
class FrontProxy {
  static async open() {
    const proxy = new FrontProxy();
    proxy.server = http.createServer((request, response) => proxy.#pass(request, response));
    proxy.server.listen(0, "127.0.0.1");
    await once(proxy.server, "listening");
    proxy.port = proxy.server.address().port;
    return proxy;
  }

  /** Hosts that the browser cannot reach any more: connections to them are closed, or never answered. */
  closed = new Set();
  silent = new Set();

  #pass(request, response) {
    const [name] = request.headers.host.split(":");
    if (this.silent.has(name)) return;
    if (this.closed.has(name)) {
      request.destroy();
      return;
    }
    const { method, url: path, rawHeaders: headers } = request;
    const onward = http.request({ host: "127.0.0.1", port: this.gateway.port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(response);
      answer.on("error", () => response.destroy());
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  }

  /** The same as a gateway has, for visitors. */
  at(path, name) {
    return `http://${name}:${this.port}${path}`;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

const configuration = (port, upstream, sameSite) => `
listen = ["127.0.0.1:0"]
public_url = "http://${LOGIN}:${port}"
hosts = ["${SHOP}", "${BLOG}"]
[[route]]
upstream = "${upstream}"
[session]
same_site = "${sameSite}"
[login]
users = "users.toml"
[log]
format = "json"
`;

for (const sameSite of ["lax", "strict"]) {
  describe(`several hosts, SameSite=${sameSite}`, () => {
    const parts = [];
    let browser, gateway, proxy;
    before(async () => {
      parts.push(makeFolder());
      const application = await Site.start({ "/": PAGE, "/a": PAGE, "/stream": eventStream });
      proxy = await FrontProxy.open();
      parts.push(application, proxy);
      gateway = await Gateway.start(parts[0].folder, configuration(proxy.port, application.url, sameSite));
      proxy.gateway = gateway;
      parts.push(gateway);
      browser = await openBrowser();
    });
    after(() => stopAll(parts, browser));

    const visit = () => Visitor.open(browser, proxy, SHOP);
    const shows = (page, text) => page.locator(`#stream:text-is("${text}")`).waitFor();

    /** Asks for a page of the shop, and signs in for it at the login host. */
    async function arrive(visitor) {
      const { page } = visitor;
      await page.goto(proxy.at("/a?b=c", SHOP));
      assert.equal(new URL(page.url()).hostname, LOGIN);
      await page.fill("#username", "alice");
      await page.fill("#password", PASSWORD);
      await page.locator("form button").first().click();
      await page.waitForURL(proxy.at("/a?b=c", SHOP));
      await shows(page, "live");
    }

    it("people sign in once, and are out on all of them at once", visiting(visit, async (visitor) => {
      await arrive(visitor);
      const tabs = [visitor.page];
      for (const name of [BLOG, LOGIN]) {
        const tab = await visitor.tab();
        await tab.goto(proxy.at("/a", name));
        await tab.waitForURL(proxy.at("/a", name));
        await shows(tab, "live");
        tabs.push(tab);
      }
      const cookies = (await visitor.context.cookies()).filter(({ name }) => name === "exeunt");
      assert.deepEqual(cookies.map(({ domain }) => domain).sort(), [...HOSTS].sort());
      assert.equal(new Set(cookies.map(({ value }) => value)).size, 3, "each host has a cookie of its own");
      const sessions = await visitor.tab();
      await sessions.goto(proxy.at("/.exeunt/sessions", BLOG));
      assert.match(await sessions.innerText("main"), new RegExp(`on ${LOGIN}, ${SHOP}, ${BLOG}`));

      const out = await visitor.tab();
      await out.goto(proxy.at("/login", BLOG));
      await press(out, out.locator("form[action='/logout'] button"));
      await goodbye(out);
      for (const tab of tabs) await shows(tab, "closed");
      for (const name of HOSTS) {
        await out.goto(proxy.at("/a", name));
        assert.equal(new URL(out.url()).hostname, LOGIN);
        assert.equal(await out.locator("#password").count(), 1, `${name} asks who it is`);
      }
    }));

    it("somebody else signs in on all of them", visiting(visit, async (visitor) => {
      await arrive(visitor);
      const { page } = visitor;
      await page.goto(proxy.at("/login?switch=1&next=/a", SHOP));
      assert.equal(new URL(page.url()).hostname, LOGIN);
      await page.fill("#username", "bob");
      await page.fill("#password", PASSWORD);
      await page.locator("form button").first().click();
      await page.waitForURL(proxy.at("/a", SHOP));
      for (const name of HOSTS) {
        await page.goto(proxy.at("/a", name));
        await page.waitForURL(proxy.at("/a", name));
        await page.goto(proxy.at("/.exeunt/session", name));
        assert.equal(await namedUser(page), "bob", name);
      }
    }));

    it("a link from elsewhere leads in, too", visiting(visit, async (visitor) => {
      await arrive(visitor);
      const { page } = visitor;
      const link = `<a href="${proxy.at("/a", BLOG)}">x</a>`;
      await page.goto(`data:text/html,${encodeURIComponent(link)}`);
      await page.locator("a").click();
      if (sameSite === "lax") {
        await page.waitForURL(proxy.at("/a", BLOG));
        return;
      }
      // The login host does not get its cookie from such a link, and asks.
      await page.locator("#password").waitFor();
      assert.equal(new URL(page.url()).hostname, LOGIN);
    }));
  });
}

// The header works on trustworthy origins alone, and names below localhost are such.
describe("several hosts, clear_site_data", () => {
  // Of one site, and of another: to a browser the way back from there comes from elsewhere.
  const [LOGIN, SHOP, BLOG] = ["login.localhost", "shop.localhost", "blog.other.localhost"];
  const parts = [];
  let browser, gateway, proxy;
  before(async () => {
    parts.push(makeFolder());
    const application = await Site.start({ "/": PAGE, "/stream": eventStream });
    proxy = await FrontProxy.open();
    parts.push(application, proxy);
    let text = configuration(proxy.port, application.url, "lax");
    for (const [index, name] of [LOGIN, SHOP, BLOG].entries()) text = text.replaceAll(HOSTS[index], name);
    text = `${text}[logout]\nclear_site_data = ["storage"]\nclose_tabs = true\n`;
    gateway = await Gateway.start(parts[0].folder, text);
    proxy.gateway = gateway;
    parts.push(gateway);
    browser = await openBrowser();
  });
  after(() => stopAll(parts, browser));

  const visit = () => Visitor.open(browser, proxy, SHOP);

  /** Signed in at all of them. */
  async function everywhere({ page }) {
    await page.goto(proxy.at("/", SHOP));
    await page.fill("#username", "alice");
    await page.fill("#password", PASSWORD);
    await page.locator("form button").first().click();
    await page.waitForURL(proxy.at("/", SHOP));
    for (const name of [LOGIN, BLOG]) {
      await page.goto(proxy.at("/", name));
      await page.waitForURL(proxy.at("/", name));
    }
  }

  async function signOut({ page }, name) {
    await page.goto(proxy.at("/login", name));
    await press(page, page.locator("form[action='/logout'] button"));
    await page.waitForURL((url) => url.pathname === "/.exeunt/goodbye");
    await goodbye(page);
    assert.equal(new URL(page.url()).hostname, name);
    assert.match(await page.innerText("main"), /alice/);
  }

  it("a logout on one makes the browser forget the data of all", visiting(visit, async (visitor) => {
    const { page } = visitor;
    await everywhere(visitor);
    for (const name of [LOGIN, SHOP, BLOG]) assert.equal(await stored(visitor, name), "1", `${name} stores something`);
    await signOut(visitor, LOGIN);
    const receipt = await page.innerText("main");
    assert.match(receipt, /for 2 other sites was cleared/);
    for (const name of [SHOP, BLOG]) assert.ok(receipt.includes(`${name}: cleared`), receipt);
    for (const name of [LOGIN, SHOP, BLOG]) assert.equal(await stored(visitor, name), null, `${name} has forgotten it`);
    const left = (await visitor.context.cookies()).filter(({ name }) => name.startsWith("exeunt")
      && !name.endsWith("known") && !name.endsWith("continued"));
    assert.deepEqual(left, []);
  }));

  const stored = async ({ page }, name) => {
    await page.goto(proxy.at("/.exeunt/goodbye", name));
    return page.evaluate(() => localStorage.getItem("mine"));
  };

  for (const fault of ["closed", "silent"]) {
    it(`a host whose connections are ${fault} is skipped`, visiting(visit, async (visitor) => {
      await everywhere(visitor);
      proxy[fault].add(SHOP);
      try {
        await signOut(visitor, LOGIN);
        const receipt = await visitor.page.innerText("main");
        assert.ok(receipt.includes(`${SHOP}: kept, because this browser could not connect to it`), receipt);
        assert.ok(receipt.includes(`${BLOG}: cleared`), receipt);
      } finally {
        proxy[fault].clear();
      }
      assert.equal(await stored(visitor, BLOG), null);
      assert.equal(await stored(visitor, SHOP), "1");
      assert.equal(await visitor.who(), null, "the session is over there, too");
    }));
  }

  it("the data of all is cleared without scripts, too", visiting(visit, async (visitor) => {
    await everywhere(visitor);
    const cookies = await visitor.context.cookies();
    const plain = await Visitor.open(browser, proxy, LOGIN, { javaScriptEnabled: false });
    try {
      await plain.context.addCookies(cookies);
      await signOut(plain, LOGIN);
      const receipt = await plain.page.innerText("main");
      for (const name of [SHOP, BLOG]) assert.ok(receipt.includes(`${name}: cleared`), receipt);
    } finally {
      await plain.context.close();
    }
  }));

  for (const out of [LOGIN, SHOP]) {
    it(`open tabs of ${out} leave after the way over the others`, visiting(visit, async (visitor) => {
      await everywhere(visitor);
      const [tab, elsewhere] = [await visitor.tab(), await visitor.tab()];
      await tab.goto(proxy.at("/", out));
      await elsewhere.goto(proxy.at("/", BLOG));
      await signOut(visitor, out);
      await tab.waitForURL((url) => url.pathname === "/login");
      const said = visitor.page.locator("#tabs:visible");
      assert.equal(await said.innerText(), "1 other open tab was asked to go to the sign-in page");
      assert.equal(elsewhere.url(), proxy.at("/", BLOG), "a tab of another host stays");
      await visitor.page.waitForFunction(async () => !(await navigator.serviceWorker.getRegistrations()).length);
    }));
  }

  it("a copy of the goodbye page's address sends no tabs away", visiting(visit, async (visitor) => {
    await everywhere(visitor);
    await signOut(visitor, LOGIN);
    const address = visitor.page.url();
    const victim = await Visitor.open(browser, proxy, LOGIN);
    try {
      const [tab, page] = [await victim.tab(), victim.page];
      await tab.goto(proxy.at("/.exeunt/goodbye", LOGIN));
      const asked = [];
      victim.context.on("request", (request) => asked.push(new URL(request.url()).pathname));
      await page.goto(`data:text/html,${encodeURIComponent(`<a href="${address.replaceAll("&", "&amp;")}">x</a>`)}`);
      await press(page, page.locator("a"));
      assert.match(await page.innerText("main"), /alice/);
      await page.waitForLoadState("networkidle");
      assert.ok(!asked.includes("/.exeunt/tabs.js"));
    } finally {
      await victim.context.close();
    }
  }));
});

// What a browser keeps of a session: nothing that it shows again after the sign-out, and nothing that it gives to the
// next person's pages. The back/forward cache is on, as people have it (see visitor.mjs).

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Gateway, makeFolder, PLAIN_NAME, Site, stopAll } from "./parts.mjs";
import { goBack, openBrowser, path, visiting, Visitor } from "./visitor.mjs";

const HTML = "text/html", XHTML = "application/xhtml+xml", TEXT = "text/plain", JSON_TYPE = "application/json";
const LONG_AGO = { "Last-Modified": "Mon, 01 Jan 2001 00:00:00 GMT" };
const kept = (value) => ({ "Cache-Control": value });

/** What applications send for pages that people go to. */
const PAGES = {
  "html-public": [HTML, kept("public, max-age=0")],
  "html-shared": [HTML, kept("s-maxage=60")],
  "html-immutable": [HTML, kept("public, max-age=31536000, immutable")],
  "html-no-cache": [HTML, { ...kept("no-cache"), ETag: '"1"' }],
  "html-expires": [HTML, { Expires: "Fri, 01 Jan 2100 00:00:00 GMT" }],
  "xhtml": [XHTML, kept("max-age=3600")],
  "no-type": [undefined, kept("private, max-age=3600")],
  "text": [TEXT, kept("private, max-age=3600")],
  "text-public": [TEXT, kept("public, max-age=3600")],
  "text-silent": [TEXT, LONG_AGO],
  "json": [JSON_TYPE, kept("max-age=3600")],
  "picture": ["image/svg+xml", kept("private, max-age=3600")],
};
/** What applications send for what pages load. */
const LOADED = {
  "silent": LONG_AGO,
  "lifetime": kept("max-age=3600"),
  "private": kept("private, max-age=3600"),
  "tagged": { ...kept("max-age=3600"), ETag: '"1"' },
};

const secretOf = (user) => `the balance of ${user} is 42`;
const svg = (user) =>
  `<svg xmlns="http://www.w3.org/2000/svg" width="${user.length}0" height="9"><desc>${secretOf(user)}</desc></svg>`;
const body = (type, user) => {
  if (type === "image/svg+xml") return svg(user);
  const head = `<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head>`;
  if (type === XHTML) return `${head}<body>${secretOf(user)}</body></html>`;
  return type === HTML ? `<!doctype html><title>x</title><p>${secretOf(user)}</p>` : secretOf(user);
};
const said = (type, headers, make) => (request, response) => {
  const user = request.headers["x-forwarded-user"] ?? "nobody";
  response.writeHead(200, { ...(type && { "Content-Type": type }), ...headers });
  response.end(make(user));
};

/** Asks for everything that pages load, and tells whose it was. */
const ASKING = `<!doctype html><title>Asking</title><p id="told"></p><script>
  const load = (element, address) => new Promise((done) => {
    element.onload = () => done(element); element.onerror = () => done("failed"); element.src = address;
    document.body.append(element);
  });
  (async () => {
    const told = {};
    for (const kind of ${JSON.stringify(Object.keys(LOADED))}) {
      told["fetch " + kind] = (await (await fetch("/data/" + kind)).text());
      told["page " + kind] = (await (await fetch("/part/" + kind)).text());
      told["image " + kind] = (await load(new Image(), "/image/" + kind)).naturalWidth;
      await load(document.createElement("script"), "/script/" + kind);
      told["script " + kind] = globalThis.who;
      const link = Object.assign(document.createElement("link"), { rel: "stylesheet" });
      await new Promise((done) => { link.onload = done; link.href = "/style/" + kind; document.head.append(link); });
      told["style " + kind] = getComputedStyle(document.body).getPropertyValue("--who");
      link.remove();
    }
    document.getElementById("told").textContent = JSON.stringify(told);
    document.title = "Told";
  })();
</script>`;

function application() {
  const pages = { "/asking": ASKING, "/other": "<!doctype html><title>Other</title>" };
  for (const [name, [type, headers]] of Object.entries(PAGES)) {
    pages[`/${name}`] = said(type, headers, (user) => body(type, user));
  }
  for (const [name, headers] of Object.entries(LOADED)) {
    pages[`/data/${name}`] = said(JSON_TYPE, headers, (user) => user);
    pages[`/part/${name}`] = said(HTML, headers, (user) => user);
    pages[`/image/${name}`] = said("image/svg+xml", headers, svg);
    pages[`/script/${name}`] = said("text/javascript", headers, (user) => `globalThis.who = "${user}";`);
    pages[`/style/${name}`] = said("text/css", headers, (user) => `body { --who: ${user}; }`);
  }
  return pages;
}

describe("caches", () => {
  const parts = [];
  let browser, gateway, careless;
  before(async () => {
    parts.push(makeFolder(), makeFolder());
    const site = await Site.start(application());
    parts.push(site);
    gateway = await Gateway.start(parts[0].folder, { upstream: site.url });
    careless = await Gateway.start(parts[1].folder, { upstream: site.url, route: 'cache = "app"' });
    parts.push(gateway, careless);
    browser = await openBrowser();
  });
  after(() => stopAll(parts, browser));
  const signedIn = (name, test, at = () => gateway) => {
    const open = () => Visitor.open(browser, at(), name);
    return visiting(open, async (visitor) => {
      await visitor.type("/login");
      await visitor.signIn("alice");
      await test(visitor);
    });
  };

  /** The browser asks, and is sent to the form: it had nothing to show. */
  async function isAskedFor(visitor, address, go) {
    const since = gateway.lines.length;
    await go();
    await visitor.page.locator("#password").waitFor();
    assert.equal(path(visitor.page), "/login");
    assert.ok(!(await visitor.page.content()).includes(secretOf("alice")));
    assert.equal((await gateway.exchange(address, since)).status, 303);
  }

  it("this browser would: a route may leave it to the application", signedIn("localhost", async (visitor) => {
    await visitor.type("/text");
    await visitor.type("/other");
    await visitor.signOut(await visitor.tab());
    await goBack(visitor.page);
    await visitor.page.waitForFunction((text) => document.body?.innerText.includes(text), secretOf("alice"));
  }, () => careless));

  for (const name of ["localhost", PLAIN_NAME]) {
    for (const kind of Object.keys(PAGES)) {
      it(`${name}: ${kind} is shown neither by Back nor for its address`, signedIn(name, async (visitor) => {
        await visitor.type(`/${kind}`);
        assert.match(await visitor.page.content(), /the balance of alice/);
        await visitor.type("/other");
        await visitor.signOut(await visitor.tab());
        await isAskedFor(visitor, `/${kind}`, () => goBack(visitor.page));
        await isAskedFor(visitor, `/${kind}`, () => visitor.type(`/${kind}`));
      }));
    }

    it(`${name}: the next person's pages load nothing of the one before`, signedIn(name, async (visitor) => {
      const told = async () => {
        await visitor.page.waitForFunction(() => document.title === "Told");
        return JSON.parse(await visitor.page.innerText("#told"));
      };
      const all = (user) => Object.fromEntries(Object.keys(LOADED).flatMap((kind) =>
        [["fetch", user], ["page", user], ["image", user.length * 10], ["script", user], ["style", user]]
          .map(([way, value]) => [`${way} ${kind}`, value])));
      await visitor.type("/asking");
      assert.deepEqual(await told(), all("alice"));
      await visitor.signOut();
      await visitor.signIn("bob");
      await visitor.type("/asking");
      assert.deepEqual(await told(), all("bob"));
    }));

    it(`${name}: nor does a page that stayed open`, signedIn(name, async (visitor) => {
      await visitor.type("/asking");
      await visitor.page.waitForFunction(() => document.title === "Told");
      const other = await visitor.tab();
      await visitor.signOut(other);
      await visitor.signIn("bob", { page: other });
      const who = (address) => visitor.page.evaluate(async (address) => (await fetch(address)).text(), address);
      for (const kind of Object.keys(LOADED)) assert.equal(await who(`/data/${kind}`), "bob", kind);
    }));
  }
});

// A gateway with an application behind it, and every page that people can meet, for the browser tests.

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { chromium } from "playwright-core";

const EXEUNT = resolve(process.env.EXEUNT ?? "target/debug/exeunt");
const PASSWORD = "correct horse battery";
const CHROMIUM_FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP *.test 127.0.0.1",
];

/** An application that greets, keeps an event stream open, and never answers below /slow. */
function application() {
  const server = http.createServer((request, response) => {
    if (request.url.startsWith("/slow")) return;
    if (request.url.startsWith("/app/events")) {
      response.writeHead(200, { "Content-Type": "text/event-stream" }).write("data: 1\n\n");
      return;
    }
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
    response.end("<!doctype html><html lang=en><title>Application</title><h1>Application</h1>");
  });
  return new Promise((done) => server.listen(0, "127.0.0.1", () => done(server)));
}

const configuration = (port, more) => `
listen = ["127.0.0.1:0"]
public_url = "http://localhost:8080"
[[route]]
path = "/app"
upstream = "http://127.0.0.1:${port}"
[[route]]
path = "/slow"
access = "public"
upstream = "http://127.0.0.1:${port}"
[[route]]
path = "/dead"
access = "public"
upstream = "unix:gone.sock"
[[route]]
path = "/staff"
upstream = "http://127.0.0.1:${port}"
groups = ["staff"]
[login]
users = "users.toml"
next = "/app/"
[limits]
response_timeout = "1s"
[log]
access = false
${more}`;

/** Starts a gateway; `more` are further lines of its configuration, `files` files beside it. */
export async function openGateway(more = "", files = {}) {
  const folder = mkdtempSync(join(tmpdir(), "exeunt-"));
  const server = await application();
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  writeFileSync(join(folder, "config.toml"), configuration(server.address().port, more));
  for (const name of ["alice", "bob"]) {
    const set = ["user", "set", name, "--file", "users.toml"];
    execFileSync(EXEUNT, set, { cwd: folder, input: `${PASSWORD}\n`, stdio: ["pipe", "ignore", "inherit"] });
  }
  const gateway = spawn(EXEUNT, ["serve"], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] });
  const port = await listening(gateway);
  const close = () => {
    gateway.kill();
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  };
  return { port, at: (path, host = "localhost") => `http://${host}:${port}${path}`, close };
}

function listening(gateway) {
  let said = "";
  return new Promise((done, fail) => {
    gateway.on("exit", () => fail(new Error(`the gateway ended; it said:\n${said}`)));
    gateway.stderr.on("data", (piece) => {
      said += piece;
      const found = /listening.*?127\.0\.0\.1:(\d+)/.exec(said.replaceAll(/\x1b\[[0-9;]*m/g, ""));
      if (found) done(Number(found[1]));
    });
  });
}

export function openBrowser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: CHROMIUM_FLAGS });
}

export async function signIn(page, gateway, user = "alice", password = PASSWORD) {
  await page.goto(gateway.at("/login"));
  if (await page.locator("h1.who").count()) await page.goto(gateway.at("/login?switch=1"));
  await page.fill("#username", user);
  await page.fill("#password", password);
  await page.click("form button");
}

/** Follows a link, or sends a form, from a page of another site. */
async function fromAnotherSite(page, html) {
  await page.goto(`data:text/html,${encodeURIComponent(html)}`);
  await Promise.all([page.waitForURL(/^http:/), page.click("[data-go]")]);
}

/** An event stream in the name of whoever is signed in, so that there is something to close. */
async function holdOpen(page, gateway) {
  const cookies = await page.context().cookies();
  const Cookie = cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
  return new Promise((done) => {
    const request = http.get(gateway.at("/app/events"), { headers: { Host: `localhost:${gateway.port}`, Cookie } });
    request.on("response", (response) => response.on("error", () => {}).once("data", done));
    request.on("error", () => {});
  });
}

/** Every page: its name, and how people come to see it. */
export const PAGES = {
  login: (page, gateway) => page.goto(gateway.at("/login")),
  "login-wrong": (page, gateway) => signIn(page, gateway, "alice", "wrong"),
  "signed-in": async (page, gateway) => {
    await signIn(page, gateway);
    await page.goto(gateway.at("/login"));
  },
  confirm: async (page, gateway) => {
    await signIn(page, gateway);
    await fromAnotherSite(page, `<a data-go href="${gateway.at("/logout")}">x</a>`);
  },
  "confirm-refused": async (page, gateway) => {
    await signIn(page, gateway);
    await fromAnotherSite(page, `<form method=post action="${gateway.at("/logout")}"><button data-go>x</button></form>`);
  },
  goodbye: async (page, gateway) => {
    await signIn(page, gateway);
    await holdOpen(page, gateway);
    await page.goto(gateway.at("/login"));
    await page.click("form button");
  },
  "goodbye-by-link": async (page, gateway) => {
    await signIn(page, gateway);
    await page.goto(gateway.at("/logout"));
  },
  "400-ambiguous": (page, gateway) => page.goto(gateway.at("/app/a%2Fb")),
  "403-group": async (page, gateway) => {
    await signIn(page, gateway, "bob");
    await page.goto(gateway.at("/staff/"));
  },
  "404-nothing": (page, gateway) => page.goto(gateway.at("/nothing")),
  "405-method": (page, gateway) =>
    fromAnotherSite(page, `<form method=post action="${gateway.at("/.exeunt/goodbye")}"><button data-go>x</button></form>`),
  "421-host": (page, gateway) => page.goto(gateway.at("/", "other.test")),
  "502-down": (page, gateway) => page.goto(gateway.at("/dead/")),
  "504-slow": (page, gateway) => page.goto(gateway.at("/slow/")),
};

/** A window of its own, in which nobody is signed in. */
export function openWindow(browser, { theme = "light", size = [1280, 800], locale = "en-GB", ...more } = {}) {
  const [width, height] = size;
  return browser.newContext({ colorScheme: theme, viewport: { width, height }, locale, reducedMotion: "reduce", ...more });
}

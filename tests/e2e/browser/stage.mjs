// Every page of the gateway that people can meet, and how they come to see it.

import { once } from "node:events";
import http from "node:http";
import * as evidence from "./evidence.mjs";
import { Gateway, PASSWORD, Site, WRONG_PASSWORD, makeFolder } from "./parts.mjs";
import { goodbye, press } from "./visitor.mjs";

/** A greeting, a stream of events that stays open, and silence. */
const APPLICATION = {
  "/app/": "<!doctype html><html lang=en><title>Application</title><h1>Application</h1>",
  "/app/events": (_, response) => response.writeHead(200, { "Content-Type": "text/event-stream" }).write("data: 1\n\n"),
  "/slow/": () => {},
};

const configuration = (upstream, more) => `
listen = ["127.0.0.1:0"]
public_url = "http://localhost:8080"
[[route]]
path = "/app"
upstream = "${upstream}"
[[route]]
path = "/staff"
groups = ["staff"]
upstream = "${upstream}"
[[route]]
path = "/slow"
access = "public"
upstream = "${upstream}"
[[route]]
path = "/dead"
access = "public"
upstream = "unix:gone.sock"
[login]
users = "users.toml"
next = "/app/"
[limits]
response_timeout = "1s"
${more}`;

/** A gateway before that application; `more` are further lines of its configuration, `write` puts files beside it. */
export async function openStage({ more = "", write = () => {} } = {}) {
  const [{ folder, stop }, site] = [makeFolder(), await Site.start(APPLICATION)];
  write(folder);
  const gateway = await Gateway.start(folder, configuration(site.url, more));
  const close = async () => {
    await gateway.stop();
    site.stop();
    stop();
  };
  return { at: (path, name) => gateway.at(path, name), close };
}

/** A browser context of its own, without a session. */
export async function openWindow(browser, { theme = "light", size = [1280, 800], locale = "en", ...more } = {}) {
  const [width, height] = size;
  const settings = { colorScheme: theme, viewport: { width, height }, locale, reducedMotion: "reduce", ...more };
  return evidence.watch(await browser.newContext(settings));
}

export async function signIn(page, stage, user = "alice", password = PASSWORD) {
  evidence.secret(password);
  await page.goto(stage.at("/login?switch=1"));
  await page.fill("#username", user);
  await page.fill("#password", password);
  await press(page, page.locator("form button"));
}

const NEW_PASSWORD = "another horse battery";

/** Signs in with the old one, which is right in any case, and asks for the new one by typing `old`. */
async function changePassword(page, stage, old, password) {
  [old, password].forEach((text) => evidence.secret(text));
  await signIn(page, stage, "alice", old === WRONG_PASSWORD ? PASSWORD : old);
  await page.goto(stage.at("/.exeunt/password"));
  const fields = [["#old", old], ["#password", password], ["#again", password]];
  for (const [field, text] of fields) await page.fill(field, text);
  await press(page, page.locator("form button"));
}

/** Follows a link, or sends a form, that stands on a page of another site. */
async function fromAnotherSite(page, html) {
  await page.goto(`data:text/html,${encodeURIComponent(html)}`);
  await press(page, page.locator("[data-go]"));
}

/** An event stream of the user who is signed in, so that there is a live connection to cut. */
async function holdOpen(page, stage) {
  const cookies = await page.context().cookies();
  const Cookie = cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
  const request = http.get(stage.at("/app/events", "127.0.0.1"), { headers: { Cookie } });
  const [response] = await once(request, "response");
  response.on("error", () => {});
  await once(response, "data");
}

/** Every page: its name, and the way to it. */
export const PAGES = {
  login: (page, stage) => page.goto(stage.at("/login")),
  "login-wrong": (page, stage) => signIn(page, stage, "alice", WRONG_PASSWORD),
  "signed-in": async (page, stage) => {
    await signIn(page, stage);
    await page.goto(stage.at("/login"));
  },
  "signed-in-again": async (page, stage) => {
    await PAGES["signed-in"](page, stage);
    // As an application leads there that takes this address for its own.
    await fromAnotherSite(page, `<a data-go href="${stage.at("/login")}">x</a>`);
  },
  password: async (page, stage) => {
    await PAGES["signed-in"](page, stage);
    await press(page, page.locator("a[href='/.exeunt/password']"));
  },
  "password-wrong": (page, stage) => changePassword(page, stage, WRONG_PASSWORD, NEW_PASSWORD),
  "password-done": async (page, stage) => {
    await changePassword(page, stage, PASSWORD, NEW_PASSWORD);
    await changePassword(page, stage, NEW_PASSWORD, PASSWORD);
  },
  sessions: async (page, stage) => {
    await PAGES["signed-in"](page, stage);
    await press(page, page.locator("a[href='/.exeunt/sessions']"));
  },
  confirm: async (page, stage) => {
    await signIn(page, stage);
    await fromAnotherSite(page, `<a data-go href="${stage.at("/logout")}">x</a>`);
  },
  "confirm-nobody": (page, stage) => fromAnotherSite(page, `<a data-go href="${stage.at("/logout")}">x</a>`),
  "confirm-refused": async (page, stage) => {
    await signIn(page, stage);
    await fromAnotherSite(page, `<form method=post action="${stage.at("/logout")}"><button data-go>x</button></form>`);
  },
  goodbye: async (page, stage) => {
    await signIn(page, stage);
    await holdOpen(page, stage);
    await page.goto(stage.at("/login"));
    await press(page, page.locator("form button"));
    await goodbye(page);
  },
  "goodbye-by-link": async (page, stage) => {
    await signIn(page, stage);
    await page.goto(stage.at("/logout"));
  },
  "goodbye-nobody": (page, stage) => page.goto(stage.at("/logout")),
  "400-ambiguous": (page, stage) => page.goto(stage.at("/app/a%2Fb")),
  "403-group": async (page, stage) => {
    await signIn(page, stage, "bob");
    await page.goto(stage.at("/staff/"));
  },
  "404-nothing": (page, stage) => page.goto(stage.at("/nothing")),
  "405-method": (page, stage) => {
    const address = stage.at("/.exeunt/goodbye");
    return fromAnotherSite(page, `<form method=post action="${address}"><button data-go>x</button></form>`);
  },
  "421-host": (page, stage) => page.goto(stage.at("/", "other.test")),
  "429-banned": async (page, stage) => {
    do await signIn(page, stage, "mallory", WRONG_PASSWORD);
    while (!(await page.locator("#problem").textContent()).match(/try again in|nächste Versuch/));
  },
  "502-down": (page, stage) => page.goto(stage.at("/dead/")),
  "504-slow": (page, stage) => page.goto(stage.at("/slow/")),
};

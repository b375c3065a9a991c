// The programs beside the browser: the gateway as people start it, Django, and sites made of a few pages.
//
// Every part listens on a port that the system chose, says so, and is waited for by reading what it says.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import * as evidence from "./evidence.mjs";

const EXEUNT = resolve(process.env.EXEUNT);
const PYTHON = process.env.PYTHON ?? "python3";
const E2E = resolve(import.meta.dirname, "..");
/** The longest that something may take that was waited for; most take milliseconds. */
export const PATIENCE = 30_000;
export const PASSWORD = "correct horse battery";
export const WRONG_PASSWORD = "wrong horse battery";
/** A name on plain http that is not loopback: browsers send no Sec-Fetch-* there and trust nothing. */
export const PLAIN_NAME = "shop.example.test";

/** A folder that is gone when the test is over. */
export function makeFolder() {
  const folder = mkdtempSync(join(tmpdir(), "exeunt-browser-"));
  return { folder, stop: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Stops what a suite has started, the last first; before that the browser, which keeps connections open. */
export async function stopAll(parts, browser) {
  await browser?.close();
  for (const part of parts.reverse()) await part.stop();
}

/** An answer that says something, asks for a quick reconnect (HTML 9.2.6), and stays open. */
export function eventStream(request, response) {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  response.write("retry: 1\ndata: live\n\n");
}

/** A program, and every line that it says. */
export class Part {
  #waiting = new Set();

  constructor(command, options) {
    this.lines = [];
    const [program, ...words] = command;
    this.process = spawn(program, words, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    this.ended = once(this.process, "exit");
    for (const stream of [this.process.stdout, this.process.stderr]) {
      createInterface({ input: stream }).on("line", (line) => this.#hear(line));
    }
  }

  #hear(line) {
    this.lines.push(line);
    for (const look of this.#waiting) look(line);
  }

  /** What `find` makes of the first line, said already or later, of which it makes something. */
  async until(find, what, since = 0) {
    const found = this.lines.slice(since).map(find).find(Boolean);
    if (found) return found;
    let look, timer;
    const heard = new Promise((done, fail) => {
      look = (line) => { const it = find(line); if (it) done(it); };
      const said = (why) => fail(new Error(`${what}: ${why}; it said:\n${this.lines.slice(-40).join("\n")}`));
      timer = setTimeout(() => said("not in time"), PATIENCE);
      this.ended.then(() => said("the program ended"));
    });
    this.#waiting.add(look);
    return heard.finally(() => { clearTimeout(timer); this.#waiting.delete(look); });
  }

  async listening(pattern) {
    try {
      this.port = Number((await this.until((line) => pattern.exec(line), "listening"))[1]);
      return this;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Asks it to stop, and insists after a while. */
  async stop() {
    this.process.kill();
    const insist = setTimeout(() => this.process.kill("SIGKILL"), PATIENCE);
    await this.ended;
    clearTimeout(insist);
  }
}

/** The Django shop, with an empty database. */
export async function startShop(folder) {
  const env = {
    ...process.env, DJANGO_SETTINGS_MODULE: "django_shop.settings", PYTHONPATH: E2E, SHOP_FOLDER: folder,
    PYTHONDONTWRITEBYTECODE: "1", PYTHONUNBUFFERED: "1",
  };
  execFileSync(PYTHON, ["-m", "django", "migrate", "--verbosity=0"], { cwd: folder, env });
  const server = [PYTHON, "-m", "waitress", "--listen=127.0.0.1:0", "--call", "django.core.wsgi:get_wsgi_application"];
  return new Part(server, { cwd: folder, env }).listening(/Serving on http:\/\/127\.0\.0\.1:(\d+)/);
}

const configuration = ({ upstream, route = "", login = "/login", logout = ["/logout"], next, closeTabs }) => `
listen = ["127.0.0.1:0"]
public_url = "http://localhost:8080"
hosts = ["${PLAIN_NAME}"]

[[route]]
path = "/"
upstream = "${upstream}"
${route}

[[route]]
path = "/public"
access = "public"
upstream = "${upstream}"

[session]
share = false

[login]
users = "users.toml"
path = "${login}"

[logout]
paths = ${JSON.stringify(logout)}
${next ? `next = "${next}"` : ""}
${closeTabs ? "close_tabs = true" : ""}

[log]
format = "json"
`;

function makeUsers(folder) {
  for (const name of ["alice", "bob"]) {
    const set = ["user", "set", name, "--file", "users.toml"];
    execFileSync(EXEUNT, set, { cwd: folder, input: `${PASSWORD}\n`, stdio: ["pipe", "ignore", "inherit"] });
  }
}

/** The gateway in front of `upstream`, or with a whole configuration as text; alice and bob may sign in. */
export class Gateway extends Part {
  /** With users and keys of its own, or with those of the gateway in the folder `other`. */
  static async start(folder, settings, other) {
    if (other) for (const name of ["users.toml", "exeunt.key"]) copyFileSync(join(other, name), join(folder, name));
    else makeUsers(folder);
    const text = typeof settings === "string" ? settings : configuration(settings);
    writeFileSync(join(folder, "config.toml"), text);
    return new Gateway([EXEUNT, "serve"], { cwd: folder }).listening(/listening.*?127\.0\.0\.1:(\d+)/);
  }

  async stop() {
    await super.stop();
    evidence.log(this.lines);
  }

  at(path, name = "localhost") {
    return `http://${name}:${this.port}${path}`;
  }

  /** The access line of an exchange with this path: the first after `since` lines that is `like` it should be. */
  exchange(path, since, like = () => true) {
    const read = (line) => {
      const said = line.startsWith("{") ? JSON.parse(line) : {};
      return said.event === "access" && said.path === path && like(said) && said;
    };
    return this.until(read, `an exchange with ${path}`, since);
  }

  /** Whether a cookie still opens anything, asked from outside of the browser. */
  async opens(cookie) {
    const request = http.get(this.at("/.exeunt/session"), { headers: { Cookie: `${cookie.name}=${cookie.value}` } });
    const [answer] = await once(request, "response");
    answer.resume();
    return answer.statusCode === 200;
  }
}

/** A web site: for each path HTML, or a function that answers. */
export class Site {
  constructor(pages) {
    this.pages = pages;
    this.server = http.createServer((request, response) => this.#answer(request, response));
  }

  static async start(pages) {
    const site = new Site(pages);
    site.server.listen(0, "127.0.0.1");
    await once(site.server, "listening");
    site.port = site.server.address().port;
    site.url = `http://127.0.0.1:${site.port}`;
    return site;
  }

  at(path, name) {
    return `http://${name}:${this.port}${path}`;
  }

  #answer(request, response) {
    const page = this.pages[request.url.split("?")[0]];
    if (typeof page === "function") return page(request, response);
    response.writeHead(page ? 200 : 404, { "Content-Type": "text/html; charset=utf-8" });
    response.end(page ?? "<!doctype html><title>Nothing</title>");
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

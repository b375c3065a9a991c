// A user with Debian's Firefox, driven by the protocol that it speaks itself (W3C WebDriver BiDi): what Playwright
// drives is a Firefox of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PATIENCE } from "./parts.mjs";

const FIREFOX = process.env.FIREFOX ?? "firefox-esr";

/** A Firefox with a profile of its own, which is gone with it. */
export class Firefox {
  #number = 0;
  #waiting = new Map();

  static async open() {
    const firefox = new Firefox();
    firefox.profile = mkdtempSync(join(tmpdir(), "exeunt-firefox-"));
    const words = ["--headless", "--no-remote", "--profile", firefox.profile, "--remote-debugging-port", "0"];
    const env = { ...process.env, HOME: firefox.profile };
    firefox.process = spawn(FIREFOX, words, { stdio: ["ignore", "ignore", "pipe"], env });
    firefox.ended = once(firefox.process, "exit");
    const url = await within(listening(firefox.process.stderr), "Firefox listens");
    firefox.socket = new WebSocket(`${url}/session`);
    firefox.socket.onmessage = ({ data }) => firefox.#hear(JSON.parse(data));
    await within(once(firefox.socket, "open"), "Firefox answers");
    await firefox.ask("session.new", { capabilities: {} });
    return firefox;
  }

  /** One command and its result. */
  ask(method, params) {
    const id = ++this.#number;
    const answered = new Promise((done, fail) => this.#waiting.set(id, { done, fail }));
    this.socket.send(JSON.stringify({ id, method, params }));
    return within(answered, method);
  }

  #hear({ id, type, result, error, message }) {
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    if (type === "success") waiting.done(result);
    else waiting.fail(new Error(`${error}: ${message}`));
  }

  async tab(url) {
    const { context } = await this.ask("browsingContext.create", { type: "tab" });
    const tab = new Tab(this, context);
    await tab.goto(url);
    return tab;
  }

  async stop() {
    this.socket?.close();
    this.process.kill();
    const insist = setTimeout(() => this.process.kill("SIGKILL"), PATIENCE);
    await this.ended;
    clearTimeout(insist);
    rmSync(this.profile, { recursive: true, force: true });
  }
}

class Tab {
  constructor(firefox, context) {
    Object.assign(this, { firefox, context });
  }

  goto(url) {
    return this.firefox.ask("browsingContext.navigate", { context: this.context, url, wait: "complete" });
  }

  /** The value of an expression in the page; of a promise what it resolves to. */
  async evaluate(expression) {
    const target = { context: this.context };
    const answer = await this.firefox.ask("script.evaluate", { expression, target, awaitPromise: true });
    if (answer.type !== "success") throw new Error(answer.exceptionDetails.text);
    return answer.result.value;
  }

  async url() {
    const { contexts } = await this.firefox.ask("browsingContext.getTree", { root: this.context, maxDepth: 0 });
    return new URL(contexts[0].url);
  }

  /** Waits until the page is at this path. */
  async waitForPath(path) {
    const by = Date.now() + PATIENCE;
    while ((await this.url()).pathname !== path) {
      if (Date.now() > by) throw new Error(`${path} was waited for, ${await this.url()} is there`);
      await new Promise((done) => { setTimeout(done, 20); });
    }
  }

  /** Waits until an expression in the page is true, on whichever page the tab is by then. */
  async waitFor(expression) {
    const by = Date.now() + PATIENCE;
    // A page that is just being left has no values.
    while (!await this.evaluate(expression).catch(() => false)) {
      if (Date.now() > by) throw new Error(`in vain: ${expression}, at ${await this.url()}`);
      await new Promise((done) => { setTimeout(done, 20); });
    }
  }
}

function listening(stderr) {
  return new Promise((done) => {
    createInterface({ input: stderr }).on("line", (line) => {
      const found = /WebDriver BiDi listening on (ws:\S+)/.exec(line);
      if (found) done(found[1]);
    });
  });
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`${what}: not in time`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

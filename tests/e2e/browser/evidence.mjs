// What the part `secrets` of tests/run looks through afterwards, as ../evidence.py has it.

import { appendFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = process.env.EXEUNT_TEST_EVIDENCE;
const COOKIE = /\b(?:__Host-)?exeunt(?:-known)?=([\w-]+)/g;
/** What is shorter is in some line by chance. */
const SHORTEST = 8;

function keep(kind, text) {
  if (FOLDER && text) appendFileSync(join(FOLDER, `browser-${process.pid}.${kind}`), text);
}

/** Keeps what a gateway printed. */
export const log = (lines) => keep("log", lines.map((line) => `${line}\n`).join(""));

export const secret = (text) => text.length >= SHORTEST && keep("secrets", `${text}\n`);

/** Keeps every cookie of the gateway that a browser is given. */
export function watch(context) {
  context.on("response", async (response) => {
    // A page that is gone by now tells nothing more; most answers set no cookie.
    const headers = await response.headersArray().catch(() => []);
    const values = headers.filter(({ name }) => name.toLowerCase() === "set-cookie").map(({ value }) => value);
    for (const [, value] of values.join("\n").matchAll(COOKIE)) secret(value);
  });
  return context;
}

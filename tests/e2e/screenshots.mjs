// Pictures of every page, by day and by night, on a phone and on a desk, in English and German: target/screenshots/.
// From the top of the repository, once tests/e2e/browser/run has installed what it needs:
//   EXEUNT=target/debug/exeunt node tests/e2e/screenshots.mjs [PART OF A PICTURE'S NAME]

import { mkdirSync } from "node:fs";
import { PAGES, openStage, openWindow } from "./browser/stage.mjs";
import { openBrowser } from "./browser/visitor.mjs";

const SIZES = { phone: [390, 844], desk: [1280, 720] };

const variants = ["en", "de"].flatMap((locale) =>
  ["light", "dark"].flatMap((theme) => Object.keys(SIZES).map((device) => ({ locale, theme, device }))));
const wanted = process.argv[2] ?? "";

async function take(browser, stage, name, { locale, theme, device }) {
  const picture = `${name}-${device}-${theme}-${locale}`;
  if (!picture.includes(wanted)) return;
  const window = await openWindow(browser, { theme, locale, size: SIZES[device] });
  const page = await window.newPage();
  await PAGES[name](page, stage);
  await page.screenshot({ path: `target/screenshots/${picture}.png`, fullPage: true });
  await window.close();
}

mkdirSync("target/screenshots", { recursive: true });
const [stage, browser] = await Promise.all([openStage(), openBrowser()]);
try {
  for (const variant of variants) for (const name of Object.keys(PAGES)) await take(browser, stage, name, variant);
} finally {
  await browser.close();
  await stage.close();
}

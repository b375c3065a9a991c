// Pictures of every page, by day and by night, on a phone and on a desk, in English and German: target/screenshots/.
// Run from the top of the repository: node tests/e2e/screenshots.mjs [part of a picture's name]

import { mkdirSync } from "node:fs";
import { PAGES, openBrowser, openGateway, openWindow } from "./stage.mjs";

const SIZES = { phone: [390, 844], desk: [1280, 800] };
const wanted = process.argv[2] ?? "";

mkdirSync("target/screenshots", { recursive: true });
const [gateway, browser] = await Promise.all([openGateway(), openBrowser()]);
try {
  for (const locale of ["en", "de"])
    for (const theme of ["light", "dark"])
      for (const [device, size] of Object.entries(SIZES))
        for (const [name, visit] of Object.entries(PAGES)) {
          const picture = `${name}-${device}-${theme}-${locale}`;
          if (!picture.includes(wanted)) continue;
          const window = await openWindow(browser, { theme, size, locale, javaScriptEnabled: false });
          const page = await window.newPage();
          await visit(page, gateway);
          await page.screenshot({ path: `target/screenshots/${picture}.png`, fullPage: true });
          await window.close();
        }
} finally {
  await browser.close();
  gateway.close();
}

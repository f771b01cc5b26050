// Checks the headline of the fleet page in one scenario, and takes its screenshot. Its input is in the environment
// (see the Rust test of the scenarios).
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";

import { base, env, troubles, watch, withBrowser } from "./browser.mjs";

const LOOKS = [
  ["desktop", { viewport: { width: 1280, height: 900 }, colorScheme: "light" }],
  ["phone", { viewport: { width: 390, height: 844 }, colorScheme: "dark", isMobile: true }],
];

fs.mkdirSync(env.PISYNC_TEST_SCREENSHOTS, { recursive: true });
await withBrowser(async (browser) => {
  for (const [look, options] of LOOKS) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    // The page asks again for hours that are still being computed.
    watch(page, (text) => text.includes("status of 503"));
    await page.goto(base + "/", { waitUntil: "load" });
    await page.locator(".chart canvas").nth(1).waitFor();
    const name = `scene-${env.SCENE_NAME}-${look}.png`;
    await page.screenshot({ path: path.join(env.PISYNC_TEST_SCREENSHOTS, name), fullPage: true });
    const verdict = (await page.locator(".verdict").innerText()).replaceAll(/\s+/g, " ");
    assert.match(verdict, new RegExp(env.SCENE_SAYS));
    console.log(verdict);
    await context.close();
  }
});
assert.deepEqual(troubles, []);

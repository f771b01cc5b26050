// Opens the fleet page some times, each in a browser that has kept nothing, and prints as JSON: the
// milliseconds to the first paint and to the charts, and the bytes that came.
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

const { chromium } = createRequire(path.join(process.env.BENCH_PACKAGES, "x.js"))("playwright-core");
const [url, count] = process.argv.slice(2);
const said = { paint: [], charts: [], bytes: [] };
const profile = fs.mkdtempSync(path.join(os.tmpdir(), "pisync-bench-"));
const args = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"];
const browser = await chromium.launch({
  executablePath: process.env.BENCH_CHROMIUM, headless: true, args, env: { ...process.env, HOME: profile },
});
try {
  for (let i = 0; i < Number(count); i++) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    const page = await context.newPage();
    const devtools = await context.newCDPSession(page);
    await devtools.send("Network.enable");
    let bytes = 0;
    devtools.on("Network.loadingFinished", (event) => (bytes += event.encodedDataLength));
    const answer = await page.goto(url + "/", { waitUntil: "load" });
    if (answer.status() !== 200) {
      throw new Error(`the page answers ${answer.status()}`);
    }
    await page.locator(".chart canvas").nth(1).waitFor();
    said.charts.push(await page.evaluate(() => performance.now()));
    await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
    said.paint.push(await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime));
    said.bytes.push(bytes);
    await context.close();
  }
} finally {
  await browser.close();
  fs.rmSync(profile, { recursive: true, force: true });
}
console.log(JSON.stringify(said));

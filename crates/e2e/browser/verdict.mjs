// Checks the first page in states that must not reassure. The scene is in the environment (see the Rust test beside
// it); steps to be done meanwhile are printed to standard output.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";

import { base, env, isReadable, isWithin, troubles, withBrowser, withPage } from "./browser.mjs";

const answers = readline.createInterface({ input: process.stdin });
const lines = answers[Symbol.asyncIterator]();
const device = `/device?id=${env.SCENE_DEVICE}`;

// The timeout of a state of the system, by a real clock.
const TIMEOUT = 60_000;

// The page asks again for hours that are still being computed.
const busy = (text) => text.includes("status of 503");

// Asks the test for a step, and waits until it is done.
async function ask(what) {
  console.log(`ask ${what}`);
  await lines.next();
}

// Opens a page whose clock can be advanced: it refreshes itself by that clock.
async function open(page, where) {
  await page.clock.install();
  await page.goto(base + where, { waitUntil: "load" });
}

// Advances the page's clock until it shows a text.
async function becomes(page, state, is) {
  const deadline = Date.now() + TIMEOUT;
  while (Date.now() < deadline) {
    if (await is()) {
      return;
    }
    await page.clock.runFor(5_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`the page does not show by itself: ${state}. It says: ${await page.locator("#now").innerText()}`);
}

async function says(page, words) {
  await becomes(page, words, async () => words.test(await page.locator(".headline").innerText()));
}

// Checks the current page in all schemes and widths.
async function pictures(page, name) {
  fs.mkdirSync(env.PISYNC_TEST_SCREENSHOTS, { recursive: true });
  for (const width of [1440, 390]) {
    for (const colorScheme of ["light", "dark"]) {
      await page.setViewportSize({ width, height: 900 });
      // A colour in transition would be measured.
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      const look = `verdict-${name}-${width}-${colorScheme}`;
      await isWithin(page, look);
      await isReadable(page, look);
      await page.screenshot({ path: path.join(env.PISYNC_TEST_SCREENSHOTS, `${look}.png`), fullPage: true });
    }
  }
}

async function reassuresNobody(page) {
  const text = await page.locator("main").innerText();
  assert.doesNotMatch(text, /All quiet|No open incident/i);
}

async function goneServer(browser) {
  const refused = (text) => busy(text) || /ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|htmx:/.test(text);
  await withPage(browser, {}, async (page, context) => {
    const other = await context.newPage();
    await open(page, "/");
    await open(other, device);
    await says(page, /All quiet/);
    await ask("stop the server");
    for (const [one, every, name] of [[page, 20, "fleet"], [other, 60, "device"]]) {
      const contact = one.locator(".contact");
      await becomes(one, "No contact", () => contact.isVisible());
      const said = await contact.innerText();
      assert.match(said, /^No contact with PiSync for \d+ (s|min); this is from \d{1,2}[:.]\d\d/);
      const [, count, unit] = said.match(/for (\d+) (s|min);/);
      const age = Number(count) * (unit === "min" ? 60 : 1);
      assert.ok(age >= 2 * every, `one refresh that did not come is no alarm: ${said}`);
      assert.match(await one.locator(".checked").innerText(), /^Last checked \d+ (s|min) ago\.$/);
      assert.equal(await one.locator(".verdict .sign").innerText(), "?");
      assert.equal(await one.locator("#now").evaluate((now) => getComputedStyle(now).filter), "grayscale(1)");
      await pictures(one, `server-gone-${name}`);
    }
    await ask("start the server");
    for (const one of [page, other]) {
      await becomes(one, "that it is in contact again", async () => !(await one.locator(".contact").isVisible()));
      // The classes of a swap under way are gone a moment later.
      await becomes(one, "the page of now", () => one.locator("#now").evaluate((now) => now.className === ""));
    }
    assert.match(await page.locator(".headline").innerText(), /All quiet/);
  }, refused);
  // Without a script, the page shows the time of its creation.
  await withPage(browser, { javaScriptEnabled: false }, async (page) => {
    for (const where of ["/", device]) {
      await page.goto(base + where);
      assert.match(await page.locator(".checked").innerText(), /^Made \d\d \w+ \d\d:\d\d UTC\. Load the page again/);
    }
  });
}

async function goneAlerter(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "/");
    await says(page, /^Nobody is being alerted: no alerter has ever run$/);
    assert.match(await page.locator(".also").innerText(), /3 devices are failing without an open incident/);
    await reassuresNobody(page);
    await pictures(page, "alerter-never");
    await ask("start the alerter");
    await says(page, /^3 open incidents/);
    await ask("kill the alerter, four minutes ago");
    await says(page, /^Nobody is being alerted: no alerter has run for 4 min$/);
    assert.match(await page.locator(".also").innerText(), /3 open incidents/);
    await reassuresNobody(page);
    await pictures(page, "alerter-gone");
    await page.goto(base + "/alerts");
    assert.match(await page.getByRole("alert").innerText(), /^Nobody is being alerted: no alerter has run for/);
    await pictures(page, "alerter-gone-alerts");
  }, busy);
}

async function nothingSetUp(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "/");
    await reassuresNobody(page);
    const steps = page.locator("#setup li");
    const done = async () => (await steps.evaluateAll((all) => all.map((step) => step.className))).join(" ");
    assert.equal(await done(), "open open open open open");
    assert.match(await page.locator(".verdict").innerText(), /No device has reported yet/);
    await pictures(page, "first-run");
    await page.getByRole("button", { name: "Copy" }).click();
    const command = await page.evaluate(() => getSelection().toString());
    assert.match(command, /^curl /, "the whole command is selected");
    const answer = execFileSync("bash", ["-c", command], { encoding: "utf8" });
    assert.equal(JSON.parse(answer).success, true, answer);
    await becomes(page, "the first report", async () => (await done()) === "open open open done open");
    await ask("start a worker");
    await becomes(page, "the first device", async () => (await done()) === "done open open done done");
    await pictures(page, "first-run-half");
    await ask("start the alerter");
    await becomes(page, "that all is set up", async () => (await steps.count()) === 0);
    await says(page, /^All quiet$/);
  }, busy);
}

async function pausedQueue(browser) {
  await withPage(browser, {}, async (page) => {
    await open(page, "/");
    await says(page, /^The fleet is failing: 200 of 1.000 devices, most for the content$/);
    assert.match(await page.locator(".also").innerText(), /PiSync is blind: the queue is paused/);
    await pictures(page, "paused");
    await page.goto(base + "/alerts");
    assert.match(await page.locator(".incidents").first().innerText(), /the whole fleet\s+200 of 1.000 devices failing/);
    assert.match(await page.locator(`.incidents:has-text("pibook-1")`).innerText(), /69 failed in a row/);
    await pictures(page, "counts-alerts");
  }, busy);
}

const SCENES = { goneServer, goneAlerter, nothingSetUp, pausedQueue };
await withBrowser(SCENES[env.SCENE_NAME]);
answers.close();
assert.deepEqual(troubles, []);

// Checks the dashboard in a real browser. Its input is in the environment (see the Rust test beside it). It exits
// with 1 and lists all problems.
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";

import { takesOn, shows, silences } from "./alerts.mjs";
import { shares } from "./share.mjs";
import { base, env, isReadable, isWithin, signIn, troubles, watch, withBrowser } from "./browser.mjs";

const LOOKS = [
  ["desktop-light", { viewport: { width: 1280, height: 900 }, colorScheme: "light" }],
  ["desktop-dark", { viewport: { width: 1280, height: 900 }, colorScheme: "dark" }],
  ["phone-light", { viewport: { width: 390, height: 844 }, colorScheme: "light", isMobile: true }],
  ["phone-dark", { viewport: { width: 390, height: 844 }, colorScheme: "dark", isMobile: true }],
];
// Each colour scheme and each width once.
const AXE = ["desktop-light", "phone-dark"];
const device = encodeURIComponent(env.DASHBOARD_DEVICE);
const PAGES = [
  ["fleet", "/"], ["devices", "/devices"], ["failing", "/devices?status=failing"], ["device", `/device?id=${device}`],
  ["alerts", "/alerts?state="], ["silences", "/silences?kind=prefix&device=pi"], ["share", "/share"],
  ["dead-letters", "/dead-letters"],
];
const OWN_FILES_BELOW = 150_000;

// Each page in each scheme and width, with its screenshot.
async function everyPage(browser, state) {
  fs.mkdirSync(env.PISYNC_TEST_SCREENSHOTS, { recursive: true });
  for (const [look, options] of LOOKS) {
    const context = await browser.newContext({ ...options, storageState: state });
    for (const [name, where] of PAGES) {
      const page = await context.newPage();
      watch(page);
      const answer = await page.goto(base + where, { waitUntil: "load" });
      assert.equal(answer.status(), 200, where);
      if (name === "fleet") {
        await page.locator(".chart canvas").nth(1).waitFor();
      }
      if (name === "fleet" && look === LOOKS.at(-1)[0]) {
        assert.match(await page.locator("#changed").innerText(), /contentVersion=42/);
      }
      await isWithin(page, `${name} ${look}`);
      if (AXE.includes(look)) {
        await isReadable(page, `${name} ${look}`);
      }
      // The other pages are very long.
      const isWhole = name !== "device" && !(name === "alerts" && look.startsWith("phone"));
      await page.screenshot({ path: path.join(env.PISYNC_TEST_SCREENSHOTS, `${name}-${look}.png`), fullPage: isWhole });
      await page.close();
    }
    await context.close();
  }
}

// Every link of every page, from the first one on; lists and devices once in each form.
async function everyLink(browser, state) {
  const context = await browser.newContext({ storageState: state });
  const page = await context.newPage();
  watch(page);
  const [seen, forms, waiting] = [new Set(), new Map(), ["/"]];
  while (waiting.length > 0) {
    const where = waiting.pop();
    const answer = await page.goto(base + where);
    assert.ok([200, 204].includes(answer.status()), `${where} answers ${answer.status()}`);
    for (const href of await page.locator("a[href]").evaluateAll((links) => links.map((link) => link.href))) {
      const url = new URL(href);
      assert.equal(url.origin, base, `${where} leads to ${href}`);
      // Files and the API's own pages are for programs.
      const isOurs = !url.pathname.startsWith("/api/") && !url.pathname.startsWith("/docs");
      const form = url.pathname + [...url.searchParams.keys()].join();
      const next = url.pathname + url.search;
      if (isOurs && !seen.has(next) && (forms.get(form) ?? 0) < 4) {
        seen.add(next);
        forms.set(form, (forms.get(form) ?? 0) + 1);
        waiting.push(next);
      } else if (!isOurs && !seen.has(next)) {
        seen.add(next);
        const status = (await context.request.get(base + next)).status();
        assert.equal(status, 200, `${next} answers ${status}`);
      }
    }
  }
  assert.ok(seen.size >= 12, `only ${seen.size} links`);
  await context.close();
}

async function findsDevices(browser, state) {
  const context = await browser.newContext({ storageState: state });
  const page = await context.newPage();
  watch(page);
  await page.goto(base + "/devices");
  await page.getByLabel("Id begins with").fill(env.DASHBOARD_DEVICE);
  await page.waitForURL((url) => url.searchParams.get("q") === env.DASHBOARD_DEVICE);
  await page.locator("tbody tr").first().waitFor();
  assert.equal(await page.locator("tbody tr").count(), 1, "one device is called so");
  await page.reload();
  assert.equal(await page.getByLabel("Id begins with").inputValue(), env.DASHBOARD_DEVICE, "the address holds the search");
  await page.getByRole("link", { name: env.DASHBOARD_DEVICE }).press("Enter");
  await page.getByRole("heading", { name: env.DASHBOARD_DEVICE }).waitFor();
  assert.match(await page.locator(".verdict").innerText(), /failed syncs in a row/);
  await page.goto(base + "/devices");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Skip to the content");
  const first = await page.locator("tbody a").first().innerText();
  await page.getByRole("link", { name: "Next" }).click();
  await page.waitForURL(/cursor=/);
  assert.notEqual(await page.locator("tbody a").first().innerText(), first, "the next page is another one");
  await context.close();
}

async function sortsDevices(browser, state) {
  const context = await browser.newContext({ storageState: state });
  const page = await context.newPage();
  watch(page);
  await page.goto(base + "/devices");
  const counts = async () => (await page.locator("tbody td.num").allInnerTexts()).map(Number);
  const sortedBy = () => page.locator("th[aria-sort]").innerText();
  assert.match(await sortedBy(), /^Device/);
  await page.getByRole("link", { name: "Failed in a row" }).click();
  await page.waitForURL(/sort=failures/);
  assert.match(await sortedBy(), /^Failed/);
  const first = await counts();
  assert.deepEqual(first, [...first].sort((a, b) => b - a), "most first");
  assert.ok(first[0] >= 3, `${first}`);
  await page.getByRole("link", { name: "Next" }).click();
  await page.waitForURL(/sort=failures.*cursor=/);
  const second = await counts();
  assert.ok(second.length > 0 && second[0] <= first.at(-1), "the next page goes on in this order");
  await page.getByRole("link", { name: "To the first" }).click();
  assert.deepEqual(await counts(), first, "the order is kept on the way back");
  await page.getByLabel("Order").selectOption("seen");
  await page.waitForURL(/sort=seen/);
  await page.locator("th[aria-sort]", { hasText: "Last seen" }).waitFor();
  const seen = await page.locator("tbody time").evaluateAll((times) => times.map((time) => time.dateTime));
  assert.deepEqual(seen, [...seen].sort(), "longest ago first");
  await page.reload();
  assert.equal(await page.getByLabel("Order").inputValue(), "seen", "the address holds the order");
  await context.close();
}

async function treatsDeadLetters(browser, state) {
  const context = await browser.newContext({ storageState: state });
  const page = await context.newPage();
  watch(page, (text) => text.includes("403"));
  await page.goto(base + "/dead-letters");
  const letters = page.locator("article");
  assert.equal(await letters.count(), 2);
  assert.match(await letters.first().innerText(), /<script>alert\(1\)<\/script>|no event/);
  page.on("dialog", (dialog) => dialog.accept());
  await letters.first().getByRole("button", { name: "Purge" }).click();
  await page.getByText("The message is purged").waitFor();
  assert.equal(await letters.count(), 1);
  // A form of another session, or of none, is refused.
  const form = { token: "x", action: "purge", partition: "0", id: "x" };
  assert.equal((await context.request.post(base + "/dead-letters", { form, maxRedirects: 0 })).status(), 403);
  await letters.first().getByRole("button", { name: "Requeue" }).click();
  await page.getByText("back at the end of the queue").waitFor();
  await context.close();
}

async function worksWithoutScript(browser, state) {
  const context = await browser.newContext({ storageState: state, javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(base + "/");
  assert.match(await page.locator(".headline").innerText(), /open incident/);
  await page.goto(base + "/devices");
  await page.getByLabel("State").selectOption("failing");
  await page.getByRole("button", { name: "Find" }).click();
  assert.match(page.url(), /status=failing/);
  assert.ok((await page.locator("tbody tr").count()) > 0);
  // An incident is acknowledged, and a silence is created and ended.
  await page.goto(base + "/alerts");
  await page.getByLabel("Comment").fill("without a script");
  await page.getByRole("button", { name: "Acknowledge" }).first().click();
  await page.getByText("The incident is acknowledged").waitFor();
  await page.getByText("without a script").waitFor();
  await page.getByRole("button", { name: "Withdraw" }).first().click();
  await page.getByText("The acknowledgement is withdrawn").waitFor();
  await page.goto(base + "/silences");
  await page.getByLabel("Devices whose id").selectOption("prefix");
  await page.getByLabel("Id (empty").fill(env.DASHBOARD_PREFIX);
  await page.getByRole("button", { name: "Preview" }).click();
  await page.getByText("120 devices").waitFor();
  await page.getByLabel("Why").fill("no script");
  await page.getByRole("button", { name: "Silence them" }).click();
  await page.getByText("The silence is active").waitFor();
  await page.getByRole("button", { name: "End it now" }).click();
  await page.getByText("The silence has ended").waitFor();
  await context.close();
}

async function refuses(browser) {
  const context = await browser.newContext();
  const page = await context.newPage();
  watch(page, (text) => text.includes("403"));
  await signIn(page, "psk_operate_0123456789abcdef_" + "0".repeat(64));
  await page.getByRole("alert").waitFor();
  await page.getByLabel(/Key with the scope/).fill(env.DASHBOARD_INGEST_KEY);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("may only send reports").waitFor();
  // A key with the scope read sees the fleet and no dead letters.
  await signIn(page, env.DASHBOARD_READ_KEY);
  await page.getByRole("heading", { name: "Devices" }).waitFor();
  assert.equal(await page.getByRole("link", { name: "Dead letters" }).count(), 0);
  assert.equal((await page.goto(base + "/dead-letters")).status(), 403);
  await page.goto(base + "/alerts");
  assert.equal(await page.getByRole("button", { name: "Acknowledge" }).count(), 0);
  assert.equal(await page.getByRole("link", { name: /Share|Silence…/ }).count(), 0);
  await page.goto(base + "/");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.goto(base + "/");
  assert.match(page.url(), /\/sign-in/, "the session is over");
  await context.close();
}

async function isLight(browser, state) {
  const context = await browser.newContext({ storageState: state });
  const page = await context.newPage();
  const devtools = await context.newCDPSession(page);
  await devtools.send("Network.enable");
  let bytes = 0;
  devtools.on("Network.loadingFinished", (event) => (bytes += event.encodedDataLength));
  const began = Date.now();
  await page.goto(base + "/", { waitUntil: "networkidle" });
  const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  console.log(`fleet page: ${bytes} bytes, first paint after ${Math.round(paint)} ms, all after ${Date.now() - began} ms`);
  assert.ok(bytes < OWN_FILES_BELOW, `${bytes} bytes`);
  await context.close();
}

await withBrowser(async (browser) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  watch(page);
  await signIn(page, env.DASHBOARD_OPERATE_KEY);
  assert.equal(new URL(page.url()).search, "?status=failing", "after signing in one is where one wanted to be");
  const [cookie] = await context.cookies();
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
  const state = await context.storageState();
  await everyPage(browser, state);
  await everyLink(browser, state);
  await findsDevices(browser, state);
  await sortsDevices(browser, state);
  await shows(browser, state);
  await takesOn(browser, state);
  await silences(browser, state);
  await shares(browser, state);
  await worksWithoutScript(browser, state);
  await isLight(browser, state);
  await treatsDeadLetters(browser, state);
  await refuses(browser);
});
assert.deepEqual(troubles, []);
console.log("the dashboard is well");

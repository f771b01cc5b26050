// The browser, and checks common to all pages.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

export const env = process.env;
export const base = env.DASHBOARD_URL;
const packages = createRequire(path.join(env.PISYNC_TEST_BROWSER, "node_modules", "x.js"));
const { chromium } = packages("playwright-core");
const axe = fs.readFileSync(packages.resolve("axe-core/axe.min.js"), "utf8");

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

// The problems found so far.
export const troubles = [];

// Records every console error of a page, and every request to another host.
export function watch(page, expected = () => false) {
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !expected(message.text())) {
      troubles.push(`console of ${page.url()}: ${message.text()}`);
    }
  });
  page.on("pageerror", (error) => troubles.push(`error on ${page.url()}: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(base + "/") && !url.startsWith("data:")) {
      troubles.push(`${page.url()} asks for ${url}`);
    }
  });
}

export async function signIn(page, key) {
  await page.goto(base + "/devices?status=failing");
  assert.match(page.url(), /\/sign-in\?next=/, "nothing is shown without a key");
  assert.ok(!(await page.content()).includes(env.DASHBOARD_PREFIX), "no device is named before signing in");
  await page.getByLabel(/Key with the scope/).fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
}

// Opens a page in a context of its own, and closes it at the end.
export async function withPage(browser, options, look, expected) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  watch(page, expected);
  await look(page, context);
  await context.close();
}

export async function withBrowser(look) {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "pisync-browser-"));
  const browser = await chromium.launch({
    executablePath: env.DASHBOARD_CHROMIUM, headless: true, args: FLAGS, env: { ...env, HOME: profile },
  });
  try {
    await look(browser);
  } finally {
    await browser.close();
    fs.rmSync(profile, { recursive: true, force: true });
  }
}

// Checks a page for accessibility by axe.
export async function isReadable(page, name) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"] }));
  const serious = found.violations.filter((violation) => ["serious", "critical"].includes(violation.impact));
  for (const violation of serious) {
    troubles.push(`axe on ${name}: ${violation.id}: ${violation.nodes.map((node) => node.html).slice(0, 3).join(" | ")}`);
  }
}

// Checks that neither the page nor a table in it is wider than its space, also with details open.
export async function isWithin(page, name) {
  const wide = await page.evaluate(() => {
    const closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((details) => (details.open = true));
    const places = [document.documentElement, ...document.querySelectorAll(".scroll, table")];
    const found = places.map((place) => {
      const right = place.getBoundingClientRect().right - document.documentElement.clientWidth;
      return [place.ariaLabel ?? place.localName, Math.max(place.scrollWidth - place.clientWidth, Math.ceil(right))];
    });
    closed.forEach((details) => (details.open = false));
    return found.filter(([, pixels]) => pixels > 0);
  });
  for (const [place, pixels] of wide) {
    troubles.push(`${name}: ${place} is ${pixels} px too wide`);
  }
}

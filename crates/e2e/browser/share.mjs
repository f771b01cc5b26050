// A share link gives access to pages alone, without actions.
import assert from "node:assert/strict";

import { base, env, withPage } from "./browser.mjs";

export async function shares(browser, state) {
  let link;
  await withPage(browser, { storageState: state }, async (page) => {
    await page.goto(base + "/");
    await page.getByRole("link", { name: "Share" }).click();
    await page.getByLabel("Good for").selectOption("1");
    await page.getByRole("button", { name: "Make a link" }).click();
    link = await page.getByLabel("The link").inputValue();
    assert.ok(link.startsWith(base + "/shared?pass="), link);
  });
  await withPage(browser, {}, async (page, context) => {
    await page.goto(link);
    assert.equal(page.url(), base + "/", "the pass does not stay in the address");
    await page.getByText(/a shared link; it ends in (59|60) min/).waitFor();
    const [cookie] = await context.cookies();
    assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Lax"]);
    await page.locator(".chart canvas").nth(1).waitFor();
    await everyLink(page, context);
    for (const where of ["/alerts", "/silences", `/device?id=${encodeURIComponent(env.DASHBOARD_DEVICE)}`]) {
      await page.goto(base + where);
      assert.equal(await page.getByRole("button", { name: /Acknowledge|Silence|End it|Sign out/ }).count(), 0, where);
    }
    const status = async (where, options) => (await context.request.fetch(base + where, { maxRedirects: 0, ...options })).status();
    assert.equal(await status("/dead-letters"), 403);
    assert.equal(await status("/share"), 403);
    assert.equal(await status("/api/v1/devices"), 401);
    for (const where of ["/alerts", "/silences", "/share", "/dead-letters"]) {
      assert.equal(await status(where, { method: "POST", form: { token: "x", action: "purge" } }), 303, where);
    }
  });
  // A link with a changed end is invalid.
  const [said, end] = link.match(/\.(\d{9,})\./);
  const longer = link.replace(said, `.${Number(end) + 3_600}.`);
  await withPage(browser, {}, async (page) => {
    assert.equal((await page.goto(longer)).status(), 403);
    await page.goto(base + "/");
    assert.match(page.url(), /\/sign-in/);
  }, (text) => text.includes("403"));
}

// No shared page has a link to a forbidden one.
async function everyLink(page, context) {
  const [seen, waiting] = [new Set(["/"]), ["/"]];
  while (waiting.length > 0 && seen.size < 25) {
    await page.goto(base + waiting.pop());
    for (const href of await page.locator("a[href]").evaluateAll((links) => links.map((link) => link.href))) {
      const { pathname, search } = new URL(href);
      if (!seen.has(pathname + search)) {
        seen.add(pathname + search);
        const answer = await context.request.get(base + pathname + search, { maxRedirects: 0 });
        assert.ok([200, 301, 302, 307, 308].includes(answer.status()), `${pathname}${search} answers ${answer.status()}`);
        if (["/devices", "/alerts", "/silences"].includes(pathname)) {
          waiting.push(pathname + search);
        }
      }
    }
  }
  assert.ok(seen.size >= 12, `only ${seen.size} links`);
}

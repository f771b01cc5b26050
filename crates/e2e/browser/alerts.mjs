// Actions on alerts, end to end: acknowledge, undo, silence; and how the pages show them.
import assert from "node:assert/strict";

import { base, env, withPage } from "./browser.mjs";

const device = encodeURIComponent(env.DASHBOARD_DEVICE);

async function ofApi(context, path) {
  const answer = await context.request.get(base + path);
  assert.equal(answer.status(), 200, path);
  return (await answer.json()).items;
}

async function timeline(page) {
  await page.goto(`${base}/device?id=${device}`);
  return page.locator(".lines").innerText();
}

// The state of messages, and alerts inhibited by another one.
export async function shows(browser, state) {
  await withPage(browser, { storageState: state }, async (page) => {
    await page.goto(`${base}/alerts?state=firing&deviceId=${device}`);
    const messages = page.locator(".deliveries").first();
    assert.match(await messages.innerText(), /log was notified/);
    assert.match(await messages.innerText(), /busy .firing. failed once, trying again (in \d+ s|now): 503/);
    assert.match(await messages.innerText(), /gone .firing. given up .*: 410/);
    await page.goto(base + "/alerts");
    const held = page.locator("details.held");
    assert.equal(await held.count(), 1);
    assert.match(await held.locator("summary").innerText(), /inhibited 3 by DeviceSyncFailing/);
    const hidden = page.getByRole("link", { name: "held-0" });
    assert.equal(await hidden.isVisible(), false, "what is held back hides nothing else");
    await held.locator("summary").click();
    assert.equal(await hidden.isVisible(), true);
    await held.getByRole("link", { name: "With their messages" }).click();
    await page.waitForURL(/heldBy=/);
    assert.equal(await page.locator(".incidents > li").count(), 3);
    assert.match(await page.locator(".incidents").innerText(), /inhibited by another alert/);
    // An inhibited alert is no incident of its own on the first page either.
    await page.goto(base + "/");
    const open = Number((await page.locator(".headline").innerText()).match(/^(\d+) open/)[1]);
    await page.goto(base + "/alerts");
    assert.equal(await page.locator(".incidents > li").count(), open);
  });
}

export async function takesOn(browser, state) {
  const refused = (text) => text.includes("403");
  await withPage(browser, { storageState: state }, async (page, context) => {
    const acked = async () => (await ofApi(context, `/api/v1/alerts?state=firing&deviceId=${device}`))[0].acked;
    await page.goto(`${base}/alerts?state=firing&deviceId=${device}`);
    // Enter in a field does nothing by itself.
    await page.getByLabel("Your name").fill("Ada");
    await page.getByLabel("Your name").press("Enter");
    await page.getByLabel("Comment").fill("<b>on it</b>");
    assert.equal(await acked(), undefined);
    await page.getByRole("button", { name: "Acknowledge" }).click();
    await page.getByText("The incident is acknowledged").waitFor();
    assert.match(page.url(), /deviceId=/, "one comes back to the same list");
    assert.match(await page.locator(".taken").innerText(), /acknowledged by Ada \(key [0-9a-f]+\).*: <b>on it<\/b>/);
    assert.deepEqual([(await acked()).comment, /^Ada/.test((await acked()).by)], ["<b>on it</b>", true]);
    assert.match(await timeline(page), /incident acknowledged by Ada \(key [0-9a-f]+\): <b>on it<\/b>/);
    await page.goto(`${base}/alerts?state=firing&deviceId=${device}`);
    await page.getByRole("button", { name: "Withdraw" }).click();
    await page.getByText("The acknowledgement is withdrawn").waitFor();
    assert.equal(await acked(), undefined);
    // A form of another session does nothing.
    const [{ id }] = await ofApi(context, `/api/v1/alerts?state=firing&deviceId=${device}`);
    const form = { token: "x", ack: id };
    assert.equal((await context.request.post(base + "/alerts", { form, maxRedirects: 0 })).status(), 403);
    assert.equal(await acked(), undefined);
  }, refused);
}

export async function silences(browser, state) {
  await withPage(browser, { storageState: state }, async (page, context) => {
    await page.goto(`${base}/alerts?state=firing&deviceId=${device}`);
    await page.getByRole("link", { name: "Silence…" }).click();
    const preview = page.locator("#preview .said");
    assert.match(await preview.innerText(), /deviceId=école \/ 7 matches 1 devices and 1 open alerts now/);
    // The preview follows the input.
    await page.getByLabel("Devices whose id").selectOption("prefix");
    await page.getByLabel("Id (empty").fill(env.DASHBOARD_PREFIX);
    await page.getByText("120 devices").waitFor();
    await page.waitForURL(/kind=prefix/);
    await page.getByLabel("Devices whose id").selectOption("pattern");
    await page.getByLabel("Id (empty").fill("(");
    await page.getByText("cannot be used").waitFor();
    assert.equal(await page.getByRole("button", { name: "Silence them" }).count(), 0);
    await page.getByLabel("Devices whose id").selectOption("exact");
    await page.getByLabel("Id (empty").fill(env.DASHBOARD_DEVICE);
    await page.getByText("1 devices").waitFor();
    await page.getByLabel("For", { exact: true }).selectOption("24");
    await page.getByLabel("Your name").fill("Ada");
    await page.getByLabel("Why").fill("it moves");
    await page.getByRole("button", { name: "Silence them" }).click();
    await page.getByText("The silence is active").waitFor();
    const [silence] = await ofApi(context, "/api/v1/silences");
    assert.deepEqual([silence.matchers, silence.comment, silence.active], [[`deviceId=${env.DASHBOARD_DEVICE}`], "it moves", true]);
    const hours = (new Date(silence.endsAt) - new Date(silence.startsAt)) / 3_600_000;
    assert.ok(Math.abs(hours - 24) < 0.1, `${hours} h`);
    assert.match(await page.locator("article.silence").innerText(), /active, ends in 23 h|active, ends in 24 h/);
    assert.match(await timeline(page), /silenced by Ada \(key [0-9a-f]+\) until .*: it moves/);
    await page.goto(base + "/alerts");
    await page.getByRole("link", { name: "Silences (1 not ended)" }).click();
    await page.getByRole("button", { name: "End it now" }).click();
    await page.getByText("The silence has ended").waitFor();
    assert.deepEqual(await ofApi(context, "/api/v1/silences"), []);
    assert.match(await timeline(page), /silence ended/);
    await page.goto(base + "/silences?kind=exact");
    assert.match(await preview.innerText(), /say which devices/);
    const form = { token: "x", action: "add", device: "x", hours: "1" };
    assert.equal((await context.request.post(base + "/silences", { form, maxRedirects: 0 })).status(), 403);
    assert.deepEqual(await ofApi(context, "/api/v1/silences"), []);
  });
}

#!/usr/bin/env node
// Keeps the reports of a device in a folder until PiSync has taken them. Node.js 18, nothing else.
//   report.js add FILES ERRORS MBPS   keeps a report of a sync attempt
//   report.js send                    sends what is kept: 0 if all was sent, 75 if some is left
const { randomUUID } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const { PISYNC_URL: URL, PISYNC_DEVICE: DEVICE, PISYNC_KEY: KEY = "any" } = process.env;
const SPOOL = process.env.PISYNC_SPOOL ?? path.join(require("node:os").homedir(), ".pisync");
const TRIES = Number(process.env.PISYNC_TRIES ?? 8);
const MAX_WAIT = Number(process.env.PISYNC_MAX_WAIT ?? 3600);
const FINAL = [400, 413, 415, 431];
const FINAL_CODES = ["malformed", "missing", "invalid", "forbidden"];
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

function add(files, errors, speed) {
  const report = {
    reportId: randomUUID(), deviceId: DEVICE, timestamp: Date.now(),
    totalFilesSynced: Number(files), totalErrors: Number(errors), internetSpeed: Number(speed),
  };
  const fresh = path.join(SPOOL, `${report.reportId}.new`);
  fs.writeFileSync(fresh, JSON.stringify(report));
  fs.renameSync(fresh, path.join(SPOOL, `${report.timestamp}-${report.reportId}.json`));
}

// The status, the type, the JSON and the Retry-After of the answer; status 0 without one.
async function post(reports) {
  try {
    const answer = await fetch(`${URL}/api/v1/sync-events`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${KEY}` },
      body: JSON.stringify({ sentAt: Date.now(), events: reports }),
      redirect: "manual", // A redirect is the doing of a captive portal: it is no answer of PiSync.
      signal: AbortSignal.timeout(60_000),
    });
    const [text, after] = [await answer.text(), answer.headers.get("Retry-After")];
    const kind = (answer.headers.get("Content-Type") ?? "").split(";")[0].trim().toLowerCase();
    try {
      return { status: answer.status, kind, json: JSON.parse(text), after };
    } catch {
      return { status: answer.status, kind, json: null, after };
    }
  } catch {
    return { status: 0, kind: "", json: null, after: null };
  }
}

// Does what may find a file gone: another process may send as well.
function unlessGone(what) {
  try {
    return what();
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
    return null;
  }
}

// A report that never will be taken: for people to look at.
function bury(file, why) {
  console.error(`never taken: ${file}: ${typeof why === "string" ? why : JSON.stringify(why)}`);
  unlessGone(() => fs.renameSync(path.join(SPOOL, file), path.join(SPOOL, "dead", file)));
}

function read(file) {
  let text;
  try {
    text = fs.readFileSync(path.join(SPOOL, file), "utf8");
  } catch {
    return null; // It was sent by another process, or the disk has trouble.
  }
  try {
    return JSON.parse(text);
  } catch {
    bury(file, "the file is damaged");
    return null;
  }
}

// Whether this is PiSync's answer to so many reports: each is accepted, or named.
function isOwn({ status, kind, json }, count) {
  if (status !== 202 || kind !== "application/json" || !Array.isArray(json?.rejected)) return false;
  const places = new Set(json.rejected.map((item) => item?.index));
  const areOurs = [...places].every((place) => Number.isInteger(place) && place >= 0 && place < count);
  return areOurs && places.size === json.rejected.length && json.accepted === count - places.size;
}

// Sends these once. Returns what to do with those that are left, and Retry-After: "wait" and send them
// again, "halve" (fewer at a time, at once), or both.
async function sendBatch(files) {
  const kept = files.map((file) => [file, read(file)]).filter(([, report]) => report !== null);
  if (kept.length === 0) return ["wait", null];
  const answer = await post(kept.map(([, report]) => report));
  const { status, kind, json, after } = answer;
  if (isOwn(answer, kept.length)) {
    const rejected = new Map(json.rejected.map((item) => [item.index, item]));
    kept.forEach(([file], index) => {
      const item = rejected.get(index);
      if (!item) unlessGone(() => fs.unlinkSync(path.join(SPOOL, file)));
      else if (FINAL_CODES.includes(item.code)) bury(file, item.detail);
    });
    return ["wait", after];
  }
  if (FINAL.includes(status) && kind === "application/problem+json") {
    if (kept.length > 1) return ["halve", null];
    bury(kept[0][0], json);
    return ["wait", null];
  }
  return ["wait and halve", after];
}

// How many seconds to wait: what Retry-After says, as seconds or as a date, or ever longer.
function pause(after, tries) {
  let wait = 5 * 2 ** Math.min(tries, 10);
  if (/^\d+$/.test(after ?? "")) wait = Number(after);
  else if (after && !Number.isNaN(Date.parse(after))) wait = (Date.parse(after) - Date.now()) / 1000;
  // Not all devices at the same second.
  return Math.min(Math.max(wait, 1), MAX_WAIT) * (1 + Math.random() / 4);
}

// When a report was kept last; those that were sent in vain come last.
function age(file) {
  return unlessGone(() => fs.statSync(path.join(SPOOL, file)).mtimeMs) ?? 0;
}

async function send() {
  let [size, tries] = [1000, 0];
  for (;;) {
    const kept = fs.readdirSync(SPOOL).filter((file) => file.endsWith(".json")).map((file) => [age(file), file]);
    kept.sort(([a, one], [b, other]) => a - b || (one < other ? -1 : 1));
    if (kept.length === 0) return 0;
    const sent = kept.slice(0, size).map(([, file]) => file);
    const [what, after] = await sendBatch(sent);
    const left = sent.filter((file) => fs.existsSync(path.join(SPOOL, file)));
    // They go behind all others, so that they hold up none; and one that is the cause is found by halves.
    for (const file of left) unlessGone(() => fs.utimesSync(path.join(SPOOL, file), new Date(), new Date()));
    size = what.includes("halve") ? Math.max(1, Math.floor(sent.length / 2)) : Math.min(1000, 2 * size);
    if (left.length < sent.length) tries = 0;
    if (left.length > 0 && what.includes("wait")) {
      tries += 1;
      if (tries >= TRIES) return 75;
      await sleep(pause(after, tries));
    }
  }
}

fs.mkdirSync(path.join(SPOOL, "dead"), { recursive: true });
const [verb, ...values] = process.argv.slice(2);
if (verb === "add" && values.length === 3) {
  add(...values);
} else if (verb === "send" && values.length === 0) {
  send().then((status) => process.exit(status));
} else {
  console.error("usage: report.js add FILES ERRORS MBPS | send");
  process.exit(2);
}

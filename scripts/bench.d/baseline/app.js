// What PiSync is compared with: Express takes the reports, BullMQ queues them, a worker of
// concurrency 10 writes each with one insert and one findOneAndUpdate through Mongoose.
//
// ROLE is "api" (takes reports), "worker" (works them off) or "all" (both in this process).
"use strict";

const express = require("express");
const mongoose = require("mongoose");
const { Queue, Worker } = require("bullmq");

const { ROLE, PORT, REDIS_PORT, MONGO_URI, MONGO_DB } = process.env;
const QUEUE = "sync-events";
const THRESHOLD = 3;
const connection = { host: "127.0.0.1", port: Number(REDIS_PORT), maxRetriesPerRequest: null };

const syncEvent = new mongoose.Schema(
  {
    deviceId: { type: String, required: true, index: true },
    timestamp: { type: Date, required: true },
    totalFilesSynced: { type: Number, required: true },
    totalErrors: { type: Number, required: true, index: true },
    internetSpeed: { type: Number, required: true },
  },
  { timestamps: true, collection: "SyncEvent" },
);
syncEvent.index({ deviceId: 1, timestamp: 1 });
const SyncEvent = mongoose.model("SyncEvent", syncEvent);

const failureCounter = new mongoose.Schema(
  {
    deviceId: { type: String, required: true, unique: true },
    failureCount: { type: Number, default: 0, index: true },
  },
  { collection: "FailureCounter" },
);
const FailureCounter = mongoose.model("FailureCounter", failureCounter);

async function work({ data }) {
  await SyncEvent.create(data);
  const change = data.totalErrors > 0 ? { $inc: { failureCount: 1 } } : { $set: { failureCount: 0 } };
  const options = { upsert: true, returnDocument: "after" };
  const counter = await FailureCounter.findOneAndUpdate({ deviceId: data.deviceId }, change, options);
  if (counter.failureCount === THRESHOLD) console.log(`ALERT ${data.deviceId}`);
}

function isReport(body) {
  return (
    typeof body?.deviceId === "string" &&
    !Number.isNaN(Date.parse(body.timestamp)) &&
    [body.totalFilesSynced, body.totalErrors, body.internetSpeed].every(Number.isFinite)
  );
}

function serve() {
  const queue = new Queue(QUEUE, { connection });
  const app = express();
  app.use(express.json());
  app.post("/api/sync-event", async (request, response) => {
    if (!isReport(request.body)) {
      response.status(400).json({ success: false });
      return;
    }
    await queue.add("sync-event", request.body, { removeOnComplete: true });
    response.status(202).json({ success: true, message: "Sync event queued successfully" });
  });
  app.listen(Number(PORT), "127.0.0.1", () => console.log("ready"));
}

async function main() {
  await mongoose.connect(MONGO_URI, { dbName: MONGO_DB });
  await Promise.all([SyncEvent.init(), FailureCounter.init()]);
  if (ROLE !== "api") {
    const worker = new Worker(QUEUE, work, { connection, concurrency: 10 });
    await worker.waitUntilReady();
    if (ROLE === "worker") console.log("ready");
  }
  if (ROLE !== "worker") serve();
}

main();

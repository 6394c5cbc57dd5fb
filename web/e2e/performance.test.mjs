// What a viewer costs the browser, the network and the server. Figures are printed as comments of the test report.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { System, browser, until, visit } from "./harness.mjs";

const SECONDS = 20;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

for (const [customers, interval] of [[10_000, "1s"], [100_000, "10s"]]) {
  describe(`${customers} customers once in ${interval}`, { timeout: 300_000 }, () => {
    let system;
    let chromium;
    before(async () => {
      [system, chromium] = await Promise.all([System.start({ customers, interval }), browser()]);
      await system.serve();
    });
    after(async () => {
      await chromium?.close();
      await system?.stop();
    });

    test("the page never blocks for long", async () => {
      const page = await visit(chromium, system.url);
      try {
        await until("everybody to be seen", () => page.evaluate(() => document.querySelector('[data-group="never_seen"] .chip-count')?.textContent === "0"), 60_000);
        await sleep(3000);
        const cost = await measure(page);
        console.log(`# ${cost.text}`);
        assert.deepEqual(page.faults, []);
        assert.ok(cost.longest <= 50, `a task after load took ${cost.longest} ms of the main thread`);
      } finally {
        await page.context().close();
      }
    });

    test("two hundred viewers, twenty of whom never read, change nothing", async () => {
      const ratios = [];
      for (let round = 1; round <= 3 && !(median(ratios) >= 0.95); round++) ratios.push(await crowd(system, round));
      assert.ok(median(ratios) >= 0.95, `stored per second with viewers, to that without: ${ratios.map((r) => r.toFixed(3))}`);
    });
  });
}

/** Median of what there is; the machine has other work, so one measurement proves little. */
function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/**
 * Lets 200 viewers in, 20 of whom never read, and returns how the rate of storing compares to that without them: before they
 * came and after they left, because the machine's other work comes and goes too.
 */
async function crowd(system, round) {
  const stored = async () => {
    const [before, from] = [(await system.get("totals")).valid_records, Date.now()];
    await sleep(10_000);
    return ((await system.get("totals")).valid_records - before) / ((Date.now() - from) / 1000);
  };
  const metrics = async (name) => Number(new RegExp(`^${name} (\\S+)`, "m").exec(await (await fetch(`${system.serveURL}/metrics`)).text())[1]);
  const earlier = await stored();
  const quiet = system.memory("serve");
  let together;
  let text;
  const viewers = Array.from({ length: 200 }, (_, i) => viewer(system.servePort, i >= 20));
  try {
    await until("all to be connected", async () => viewers.filter((v) => v.bytes > 0).length >= 180);
    const joined = Date.now();
    await until("those that do not read to be dropped", async () => (await metrics("heartbeat_viewers_dropped_total")) >= 20 * round, 60_000);
    const dropped = (Date.now() - joined) / 1000;
    const [early, readers] = [system.memory("serve"), viewers.slice(20)];
    const [bytes, began] = [readers.map((v) => v.bytes), Date.now()];
    together = await stored();
    const each = readers.reduce((sum, v, i) => sum + v.bytes - bytes[i], 0) / readers.length / ((Date.now() - began) / 1000);
    const late = system.memory("serve");
    text = `with 200 viewers ${together.toFixed(0)}; server RSS ${quiet.toFixed(0)} MiB alone, ${early.toFixed(0)} with viewers, ${late.toFixed(0)} ten seconds later; ` +
      `${(each / 1024).toFixed(1)} KiB/s to each; those that do not read dropped within ${dropped.toFixed(0)} s`;
    assert.equal(await metrics("heartbeat_viewers"), 180);
    assert.equal(await metrics("heartbeat_viewers_dropped_total"), 20 * round);
    assert.ok(late - early < 20, `memory grew from ${early} to ${late} MiB`);
  } finally {
    for (const v of viewers) v.close();
  }
  await until("all to be gone", async () => (await metrics("heartbeat_viewers")) === 0);
  const later = await stored();
  console.log(`# stored/s alone ${earlier.toFixed(0)} and ${later.toFixed(0)}, ${text}`);
  return (2 * together) / (earlier + later);
}

/**
 * Watches a page for a while. Tasks are measured in time of the main thread's own, from the browser's trace: time on the clock
 * says as much about the machine's other work, and is printed only.
 */
async function measure(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Performance.enable");
  const metric = async (name) => (await session.send("Performance.getMetrics")).metrics.find((m) => m.name === name).value;
  let received = 0;
  session.on("Network.dataReceived", (event) => (received += event.encodedDataLength || event.dataLength));
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  const complete = new Promise((done) => session.once("Tracing.tracingComplete", done));
  await session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["toplevel", "disabled-by-default-devtools.timeline", "__metadata"] } });
  const frames = await page.evaluate(frameTimes, SECONDS * 1000);
  await session.send("Tracing.end");
  await complete;
  const main = events.filter((e) => e.ph === "M" && e.name === "thread_name" && e.args.name === "CrRendererMain").map((e) => `${e.pid}.${e.tid}`);
  const tasks = events.filter((e) => e.ph === "X" && e.name === "RunTask" && main.includes(`${e.pid}.${e.tid}`));
  if (tasks.length < 100) throw new Error(`the trace holds only ${tasks.length} tasks`);
  const own = tasks.map((e) => (e.tdur ?? e.dur) / 1000).sort((a, b) => b - a);
  const clock = tasks.filter((e) => e.dur > 50_000).length;
  const sorted = frames.toSorted((a, b) => a - b);
  const at = (q) => sorted[Math.floor(q * (sorted.length - 1))].toFixed(1);
  const text = `frames/s ${(frames.length / SECONDS).toFixed(1)}, frame p50 ${at(0.5)} p95 ${at(0.95)} p99 ${at(0.99)} max ${at(1)} ms; ` +
    `main thread ${((100 * own.reduce((sum, t) => sum + t, 0)) / SECONDS / 1000).toFixed(1)} % of a core, longest tasks ${own.slice(0, 3).map((t) => t.toFixed(1)).join(", ")} ms of its own time ` +
    `(${clock} over 50 ms on the clock); received ${(received / SECONDS / 1024).toFixed(1)} KiB/s; page memory ${((await metric("JSHeapUsedSize")) / 2 ** 20).toFixed(1)} MiB`;
  return { text, longest: own[0] };
}

/** Runs in the page: the times between frames. */
async function frameTimes(ms) {
  const frames = [];
  let last = performance.now();
  const end = last + ms;
  await new Promise((done) => {
    const step = (now) => {
      frames.push(now - last);
      last = now;
      if (now < end) requestAnimationFrame(step);
      else done();
    };
    requestAnimationFrame(step);
  });
  return frames;
}

/** A viewer on a bare socket. One that does not read takes what fits into the system's buffers and no more. */
function viewer(port, reads) {
  const socket = connect(port, "127.0.0.1");
  const state = { bytes: 0, close: () => socket.destroy() };
  socket.on("error", () => {});
  socket.write("GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
  if (reads) socket.on("data", (data) => (state.bytes += data.length));
  else socket.pause();
  return state;
}

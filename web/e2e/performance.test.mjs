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
    });
    after(async () => {
      await chromium?.close();
      await system?.stop();
    });

    test("the page never blocks for long", async () => {
      const page = await visit(chromium, system);
      await until("everybody to be seen", () => page.evaluate(() => document.querySelector('[data-state="never_seen"] .chip-count')?.textContent === "0"), 40_000);
      const session = await page.context().newCDPSession(page);
      let received = 0;
      await session.send("Network.enable");
      session.on("Network.dataReceived", (event) => (received += event.encodedDataLength || event.dataLength));
      await session.send("Performance.enable");
      const metric = async (name) => (await session.send("Performance.getMetrics")).metrics.find((m) => m.name === name).value;
      await sleep(3000);
      received = 0;
      const [busy, script] = [await metric("TaskDuration"), await metric("ScriptDuration")];
      const { frames, tasks } = await page.evaluate(async (ms) => {
        const tasks = [];
        new PerformanceObserver((list) => tasks.push(...list.getEntries().map((e) => e.duration))).observe({ type: "longtask" });
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
        return { frames, tasks };
      }, SECONDS * 1000);
      const sorted = frames.toSorted((a, b) => a - b);
      const at = (q) => sorted[Math.floor(q * (sorted.length - 1))].toFixed(1);
      console.log(`# frames/s ${(frames.length / SECONDS).toFixed(1)}, frame p50 ${at(0.5)} p95 ${at(0.95)} p99 ${at(0.99)} max ${at(1)} ms; ` +
        `long tasks ${tasks.length} (max ${Math.max(0, ...tasks).toFixed(0)} ms); main thread busy ${(100 * (await metric("TaskDuration") - busy) / SECONDS).toFixed(1)} %, ` +
        `script ${(100 * (await metric("ScriptDuration") - script) / SECONDS).toFixed(1)} %; ` +
        `received ${(received / SECONDS / 1024).toFixed(1)} KiB/s; page memory ${((await metric("JSHeapUsedSize")) / 2 ** 20).toFixed(1)} MiB`);
      assert.deepEqual(page.faults, []);
      assert.deepEqual(tasks.map(Math.round), [], "long tasks after load, ms");
      await page.context().close();
    });

    test("two hundred viewers, twenty of whom never read, change nothing", async () => {
      const rate = async () => {
        const [before, from] = [(await system.get("totals")).valid_records, Date.now()];
        await sleep(10_000);
        return ((await system.get("totals")).valid_records - before) / ((Date.now() - from) / 1000);
      };
      const alone = await rate();
      const [quiet, viewers] = [system.memory("serve"), Array.from({ length: 200 }, (_, i) => viewer(system.port, i >= 20))];
      await until("all to be connected", async () => viewers.filter((v) => v.bytes > 0).length >= 180);
      const metrics = async (name) => Number(new RegExp(`^${name} (\\S+)`, "m").exec(await (await fetch(`${system.url}/metrics`)).text())[1]);
      const joined = Date.now();
      await until("those that do not read to be dropped", async () => (await metrics("heartbeat_viewers_dropped_total")) === 20, 60_000);
      const dropped = (Date.now() - joined) / 1000;
      const [early, readers] = [system.memory("serve"), viewers.slice(20)];
      const bytes = readers.map((v) => v.bytes);
      const began = Date.now();
      const together = await rate();
      const perViewer = readers.reduce((sum, v, i) => sum + v.bytes - bytes[i], 0) / readers.length / ((Date.now() - began) / 1000);
      const late = system.memory("serve");
      console.log(`# stored/s alone ${alone.toFixed(0)}, with 200 viewers ${together.toFixed(0)}; server RSS ${quiet.toFixed(0)} MiB alone, ${early.toFixed(0)} with viewers, ${late.toFixed(0)} ten seconds later; ` +
        `${(perViewer / 1024).toFixed(1)} KiB/s to each; those that do not read dropped within ${dropped.toFixed(0)} s`);
      const left = await metrics("heartbeat_viewers");
      for (const v of viewers) v.close();
      assert.equal(left, 180);
      assert.ok(Math.abs(together / alone - 1) < 0.05, `stored ${alone} per second alone and ${together} with viewers`);
      assert.ok(late - early < 20, `memory grew from ${early} to ${late} MiB`);
    });
  });
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

// Runs the built binary as people do and drives Chromium against it.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { chromium } from "playwright-core";

const ROOT = new URL("../../", import.meta.url).pathname;

/** UPDATE_IMAGES=1 renews the pictures of the README, after a quarter of an hour so that the charts are full. */
export const UPDATE_IMAGES = Boolean(process.env.UPDATE_IMAGES);
/** Pictures to look at that no document shows, of the last run. */
export const UNPUBLISHED = "/var/tmp/heartbeat-images";
export const IMAGES = UPDATE_IMAGES ? join(ROOT, "docs/images") : UNPUBLISHED;

const ARGUMENTS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

function need(name, candidates, install) {
  const found = candidates.find((path) => path && (path.includes("/") ? existsSync(path) : spawnSync("which", [path]).status === 0));
  if (!found) throw new Error(`${name} is needed for these tests: ${install}`);
  return found;
}

/** A free port from below those that systems hand to outgoing connections, which other tests open in great number. */
async function freePort() {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 17_000);
    const server = createServer();
    const free = await new Promise((done) => server.once("error", () => done(false)).listen(port, "127.0.0.1", () => done(true)));
    if (!free) continue;
    await new Promise((done) => server.close(done));
    return port;
  }
}

/** Waits until a condition holds, and fails with its last words when it does not in time. */
export async function until(what, condition, timeout = 20_000) {
  const end = Date.now() + timeout;
  let last;
  for (;;) {
    try {
      last = await condition();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited ${timeout} ms for: ${what}; last: ${last}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** The whole system on ports of its own: `up`, and a console in a process of its own where a test restarts or measures it. */
export class System {
  #dir = mkdtempSync("/var/tmp/heartbeat-e2e-");
  #processes = new Map();
  #binary = process.env.HEARTBEAT_BIN ?? join(ROOT, "bin/heartbeat");

  static async start(options) {
    const system = new System();
    await system.#start(options);
    return system;
  }

  /** When `up` was started. */
  began = 0;

  async #start({ customers, interval, flags = [] }) {
    if (!existsSync(this.#binary)) throw new Error(`${this.#binary} is missing: make build, or set HEARTBEAT_BIN`);
    chmodSync(this.#dir, 0o755); // PostgreSQL runs as somebody else where we are root
    [this.kafka, this.postgres, this.port, this.servePort] = [await freePort(), await freePort(), await freePort(), await freePort()];
    this.customers = customers;
    this.url = `http://127.0.0.1:${this.port}`;
    this.serveURL = `http://127.0.0.1:${this.servePort}`;
    this.began = Date.now();
    this.#run("up", ["up", "--data-dir", join(this.#dir, "data"), "--kafka-port", this.kafka, "--postgres-port", this.postgres,
      "--listen", `127.0.0.1:${this.port}`, "--customers", customers, "--interval", interval, "--log-level", "ERROR", ...flags]);
    await until("up to be up", () => this.log("up").includes("Heartbeat is up"), 60_000);
    await until("the console to answer", async () => (await fetch(`${this.url}/healthz`)).ok);
  }

  /** Starts a console of its own at serveURL. */
  async serve(env = {}) {
    this.#run("serve", ["serve", "--listen", `127.0.0.1:${this.servePort}`], env);
    await until("the console to answer", async () => (await fetch(`${this.serveURL}/healthz`)).ok);
  }

  #run(name, args, env = {}) {
    const child = spawn(this.#binary, args.map(String), {
      cwd: this.#dir, // where no .env is
      env: { ...process.env, POSTGRES_PORT: this.postgres, KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${this.kafka}`, CUSTOMER_POOL_SIZE: this.customers, ...env },
    });
    const entry = { child, text: "", ended: new Promise((done) => child.once("exit", done)) };
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (entry.text = (entry.text + data).slice(-50_000)));
    this.#processes.set(name, entry);
  }

  log(name) {
    const { text, child } = this.#processes.get(name);
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}:\n${text}`);
    return text;
  }

  async kill(name, signal = "SIGKILL") {
    const { child, ended } = this.#processes.get(name);
    child.kill(signal);
    await ended;
  }

  /** Resident memory of a process in MiB. */
  memory(name) {
    const status = readFileSync(`/proc/${this.#processes.get(name).child.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024;
  }

  /** Sends records as a foreign producer would. */
  produce(...values) {
    const kcat = need("kcat", ["kcat"], "apt-get install kcat");
    const result = spawnSync(kcat, ["-b", `127.0.0.1:${this.kafka}`, "-t", "heartbeat-events", "-P", "-D", "\n"], { input: values.join("\n") });
    if (result.status !== 0) throw new Error(`kcat: ${result.stderr}`);
  }

  /** Sends the last 24 hours of a person with that number. */
  sendDay(customer) {
    const result = spawnSync("go", ["run", "./scripts/sendday", "-brokers", `127.0.0.1:${this.kafka}`, "-customer", customer], { cwd: ROOT });
    if (result.status !== 0) throw new Error(`sendday: ${result.stderr}`);
  }

  async get(path) {
    const response = await fetch(this.url + "/api/v1/" + path);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  async stop() {
    for (const name of ["serve", "up"]) {
      const entry = this.#processes.get(name);
      if (entry && entry.child.exitCode === null && entry.child.signalCode === null) {
        entry.child.kill("SIGINT");
        await entry.ended;
      }
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }
}

export function reading(customer, rate, time = new Date()) {
  return JSON.stringify({ customer_id: customer, heart_rate: rate, timestamp: time.toISOString() });
}

export async function browser() {
  return chromium.launch({
    executablePath: need("Chromium", [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"], "apt-get install chromium"),
    args: ARGUMENTS,
  });
}

/** Opens a page that fails the test at any console error, policy violation, exception or request to another host. */
export async function visit(chromium, url, { hash = "#/fleet", ...options } = {}) {
  const context = await chromium.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.faults = [];
  page.tolerated = () => false;
  const fault = (text) => page.tolerated(text) || page.faults.push(text);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && fault(`console: ${message.text()}`));
  page.on("pageerror", (error) => fault(`exception: ${error.stack}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) fault(`outside request: ${request.url()}`);
  });
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`)));
  await page.goto(`${url}/${hash}`);
  return page;
}

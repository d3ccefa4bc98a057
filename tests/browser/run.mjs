// Chromium against a server of this repository: `node run.mjs <playwright-core> <atelier>`. Pages come from servers of their own on
// other ports, which makes them other origins; 127.0.0.1 and localhost are other sites as well, between which no cookie of ours goes.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [driver, program] = process.argv.slice(2).map((path) => resolve(path));
const { chromium } = await import(pathToFileURL(join(driver, "index.mjs")).href);
const here = dirname(fileURLToPath(import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "atelier-browser-"));

/// A server of pages, each of which has the functions of page.js.
const pages = () =>
  new Promise((done) => {
    const script = readFileSync(join(here, "page.js"), "utf8");
    const server = createServer((request, response) => {
      response.setHeader("content-type", request.url === "/page.js" ? "text/javascript" : "text/html; charset=utf-8");
      response.end(request.url === "/page.js" ? script : "<!doctype html><title>page</title><script src='/page.js'></script>");
    });
    server.listen(0, "127.0.0.1", () => done({ port: server.address().port, close: () => server.close() }));
  });

/// A port that was free a moment ago.
const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const until = async (what, look) => {
  for (let tries = 0; tries < 600; tries += 1) {
    const seen = await look().catch(() => undefined);
    if (seen) return seen;
    await pause(100);
  }
  throw new Error(`waited in vain for ${what}`);
};

/// A server with the demo studio, which lets pages of these origins in.
const serve = async (origins) => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const environment = { PATH: process.env.PATH, HOME: folder, ATELIER_LOG: "warn", ATELIER_DEMO: "true" };
  const own = { ATELIER_DATA: join(folder, "data"), ATELIER_LISTEN: url.slice(7), ATELIER_ORIGINS: origins.join(",") };
  const child = spawn(program, ["serve"], { env: { ...environment, ...own }, stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (bytes) => (said += bytes));
  const ended = new Promise((done) => child.on("exit", done));
  const ready = until("the server", async () => /atelier is ready/.test(said) && (await fetch(`${url}/health/ready`)).ok);
  await Promise.race([ready, ended.then((code) => Promise.reject(new Error(`the server ended with ${code}: ${said}`)))]);
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  return { url, stop };
};

const open = () =>
  chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    // No name is found and no other machine reached: whatever a page needs comes from here.
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
      "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ],
  });

const results = { passed: 0, failed: 0 };
const scene = { until };
/// One test in a context of its own: no cookies, no storage.
const test = async (name, run) => {
  const context = await scene.browser.newContext();
  context.setDefaultTimeout(20_000);
  try {
    await run(context, scene);
    results.passed += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    results.failed += 1;
    console.log(`FAILED  ${name}\n${error.stack ?? error}`);
  }
  await context.close();
};

const [ours, theirs] = [await pages(), await pages()];
let server;
try {
  scene.sameSite = `http://127.0.0.1:${ours.port}`;
  scene.crossSite = `http://localhost:${ours.port}`;
  scene.foreign = `http://127.0.0.1:${theirs.port}`;
  server = await serve([scene.sameSite, scene.crossSite]);
  scene.server = server.url;
  scene.browser = await open();
  const files = readdirSync(here).filter((file) => file.endsWith(".test.mjs")).sort();
  for (const file of files) {
    const tests = (await import(pathToFileURL(join(here, file)).href)).default;
    for (const [name, run] of Object.entries(tests)) await test(`${file.replace(".test.mjs", "")}: ${name}`, run);
  }
} catch (error) {
  results.failed += 1;
  console.log(error.stack ?? error);
} finally {
  await scene.browser?.close();
  await server?.stop();
  ours.close();
  theirs.close();
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${results.passed} passed, ${results.failed} failed`);
process.exit(results.failed === 0 && results.passed > 0 ? 0 : 1);

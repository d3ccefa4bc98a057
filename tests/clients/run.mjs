// Starts a real `atelier serve` over a temporary folder, runs every file of checks/ against it one after the other, and says how many checks
// passed and failed. `run.mjs <atelier> [part of a file's name]...` runs some of them. A check that is skipped or missing counts as failed.
import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { run } from "node:test";

/// Minutes that all of it may take on two slow cores; over it, the run fails.
const BUDGET = 6;
/// Milliseconds until a node listens, and until it has stopped.
const PATIENCE = 120_000;

const [program, ...parts] = process.argv.slice(2);
const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const files = readdirSync(path.join(here, "checks"))
  .filter((name) => name.endsWith(".mjs") && (parts.length === 0 || parts.some((part) => name.includes(part))))
  .sort()
  .map((name) => path.join(here, "checks", name));

/// The settings of the machine's own would make it another node than the default one.
function plainEnvironment() {
  const own = ([name]) => !name.startsWith("ATELIER_") && name !== "DATABASE_URL";
  return { ...Object.fromEntries(Object.entries(process.env).filter(own)), ATELIER_LOG_JSON: "true" };
}

/// A node on a free port, once it listens.
async function startNode() {
  const home = mkdtempSync(path.join(tmpdir(), "atelier-clients-"));
  // PostgreSQL's user passes through it when this runs as root.
  chmodSync(home, 0o755);
  const log = path.join(home, "log");
  const arguments_ = ["serve", "--listen", "127.0.0.1:0", "--data", path.join(home, "data")];
  const out = openSync(log, "a");
  const child = spawn(path.resolve(program), arguments_, { cwd: home, env: plainEnvironment(), stdio: ["ignore", out, out] });
  const ended = new Promise((resolve) => child.on("exit", resolve).on("error", resolve));
  const node = { home, log, child, ended };
  for (const end = Date.now() + PATIENCE; Date.now() < end && child.exitCode === null; ) {
    const address = readFileSync(log, "utf8").match(/"address":"([^"]+)"/)?.[1];
    if (address !== undefined) return { ...node, url: `http://${address}` };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  console.error(readFileSync(log, "utf8").split("\n").slice(-20).join("\n"));
  await stopNode(node);
  throw new Error("the node does not listen");
}

async function stopNode({ home, child, ended }) {
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
  await ended;
  clearTimeout(late);
  rmSync(home, { recursive: true, force: true });
}

/// Runs the files; how many checks passed, and what failed.
async function runChecks(environment) {
  Object.assign(process.env, environment);
  let passed = 0;
  const failed = [];
  const checks = run({ files, concurrency: 1, timeout: BUDGET * 60_000 });
  checks.on("test:pass", (check) => {
    if (check.details.type === "suite") return;
    if (check.skip !== undefined || check.todo !== undefined) failed.push([check, "it was skipped"]);
    else if (files.includes(check.name)) failed.push([check, "the file has no check"]);
    else passed += 1;
  });
  checks.on("test:fail", (check) => {
    // A suite fails because of its tests, which are told on their own.
    if (check.details.error?.failureType !== "subtestsFailed") failed.push([check, check.details.error?.cause ?? check.details.error]);
  });
  checks.on("test:stderr", (said) => process.stderr.write(said.message));
  for await (const _ of checks);
  return { passed, failed };
}

if (files.length === 0) throw new Error("there is no such check");
console.log(`== clients: budget ${BUDGET} min`);
const began = Date.now();
const node = await startNode();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => stopNode(node).then(() => process.exit(1)));
const { passed, failed } = await runChecks({ STUDIO_URL: node.url }).finally(() => stopNode(node));
for (const [check, error] of failed) {
  console.log(`\nFAILED ${path.basename(check.file ?? check.name)}: ${check.name}`);
  console.log(error?.stack ?? error);
}
const minutes = (Date.now() - began) / 60_000;
if (minutes > BUDGET) failed.push("the budget");
console.log(`\n== clients: ${files.length} files in ${minutes.toFixed(1)} of ${BUDGET} min`);
console.log(`${passed} passed, ${failed.length} failed`);
process.exitCode = failed.length === 0 && passed > 0 ? 0 : 1;

// Makes a fresh clone ready: installs the packages named in the lockfile and compiles. Does next to nothing
// when both are up to date, so that it can stand before every `npm start` and `npm test`.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { chdir } from "node:process";
import { fileURLToPath } from "node:url";

chdir(dirname(dirname(fileURLToPath(import.meta.url))));
checkNode();
if (!isInstalled()) {
  console.error("Installing packages (once) ...");
  npm("ci", "--ignore-scripts");
  dropOtherSystems();
}
dropOrphans("dist");
run(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "."]);
// npx makes it executable only when it first links this folder, not after `dist` was made anew.
chmodSync("dist/apps/cli/main.js", 0o755);

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 9)) return;
  console.error(
    `error: this is Node.js ${process.versions.node}, wanted 20.9 or newer\n  see https://nodejs.org`,
  );
  process.exit(2);
}

function isInstalled() {
  const installed = "node_modules/.package-lock.json";
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync("package-lock.json").mtimeMs;
}

/** ONNX Runtime's package holds its library for five systems, 288 MB; 245 MB of them never run here. */
function dropOtherSystems() {
  const root = "node_modules/onnxruntime-node/bin/napi-v6";
  for (const platform of readdirSync(root)) {
    for (const arch of readdirSync(join(root, platform))) {
      if (platform === process.platform && arch === process.arch) continue;
      rmSync(join(root, platform, arch), { recursive: true });
    }
  }
}

/** Removes what was compiled from files that are gone: a test among them would still run. */
function dropOrphans(folder) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) dropOrphans(path);
    else if (!existsSync(path.replace("dist", ".").replace(/(\.d\.ts|\.js|\.js\.map)$/, ".ts"))) {
      if (entry.name !== ".tsbuildinfo") rmSync(path);
    }
  }
}

function npm(...args) {
  // npm puts its own path into the environment of the scripts it runs; that avoids npm.cmd on Windows.
  const script = process.env.npm_execpath;
  if (script) run(process.execPath, [script, ...args]);
  else run("npm", args, { shell: true });
}

/** What is said goes to standard error: standard output belongs to the command that comes after. */
function run(command, args, options = {}) {
  const { status } = spawnSync(command, args, { stdio: ["ignore", 2, 2], ...options });
  if (status !== 0) process.exit(status ?? 1);
}

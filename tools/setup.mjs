// Makes a fresh clone ready: installs the packages named in the lockfile and compiles. Does nothing when
// both are up to date, so that it can stand before every `npm start` and `npm test`.
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { chdir } from "node:process";
import { fileURLToPath } from "node:url";

chdir(dirname(dirname(fileURLToPath(import.meta.url))));

const installed = "node_modules/.package-lock.json";
const upToDate =
  existsSync(installed) && statSync(installed).mtimeMs >= statSync("package-lock.json").mtimeMs;
if (!upToDate) {
  console.error("Installing packages (once) ...");
  // `npm ci` also runs `prepare`, which compiles.
  npm("ci");
} else {
  npm("run", "--silent", "build");
}

function npm(...args) {
  // npm puts its own path into the environment of the scripts it runs; that avoids npm.cmd on Windows.
  const command = process.env.npm_execpath;
  const { status } = command
    ? spawnSync(process.execPath, [command, ...args], { stdio: ["ignore", 2, 2] })
    : spawnSync("npm", args, { stdio: ["ignore", 2, 2], shell: true });
  if (status !== 0) process.exit(status ?? 1);
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { openModelFolder } from "../checkpoint/mod.ts";
import { isBlob } from "./hash.node.ts";
import { listModels } from "./models.node.ts";
import { REPOSITORY, startHub, storeFor, type TestHub, TOKEN } from "./test-support.ts";
import { repairModel, verifyModel } from "./verify.node.ts";
import type { Store } from "./world.node.ts";

const CHILD = fileURLToPath(new URL("./test-support-child.js", import.meta.url));
const KILLS = 20;
const BETWEEN_KILLS = 600_000;

/** Starts a real download in a process of its own; tells when it has begun, how it ended, and how long it took. */
async function download(
  hub: TestHub,
  store: Store,
  watch: (child: ChildProcess) => void = () => {},
): Promise<{ output: string; milliseconds: number }> {
  const { cache, data } = store.settings;
  const child = spawn(process.execPath, [CHILD], {
    env: {
      HF_ENDPOINT: hub.endpoint,
      HF_HUB_CACHE: cache,
      KANDINSKY_HOME: data,
      HF_TOKEN: TOKEN,
      TEST_REPOSITORY: REPOSITORY,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  let begun = 0;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (begun > 0) return;
    begun = performance.now();
    watch(child);
  });
  await once(child, "close");
  return { output, milliseconds: performance.now() - begun };
}

/** Blobs that have their name but not its content: there may never be one. */
function liars({ settings }: Store): string[] {
  const folder = join(settings.cache, "models--kandinsky-community--kandinsky-3", "blobs");
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.filter((name) => /^[0-9a-f]+$/.test(name) && !isBlob(name, readFileSync(join(folder, name))));
}

test("kill -9 at 20 random moments of a download leaves a store that verify accepts or repairs", {
  timeout: 180_000,
}, async () => {
  const hub = await startHub();
  hub.slowness = 2;
  const store = await storeFor(hub);
  const { output, milliseconds } = await download(hub, store);
  expect(output).toBe("begun\ndone\n");
  const bytes = hub.sent();
  let [cut, repaired, whole] = [0, 0, 0];
  for (let kill = 0; kill < KILLS; kill++) {
    rmSync(store.settings.cache, { recursive: true, force: true });
    rmSync(store.settings.data, { recursive: true, force: true });
    // By time a kill meets the bookkeeping too; by bytes it meets the download however fast the machine is.
    const part = Math.random();
    const killed = kill % 2 === 0 ? killAtBytes(hub, part * bytes) : killAfter(part * milliseconds);
    const outcome = await download(hub, store, killed);
    if (outcome.output === "begun\n") cut++;
    const where = `killed after ${part} of the ${kill % 2 === 0 ? "bytes" : "time"}`;
    expect(liars(store), where).toEqual([]);
    for (const model of await listModels(store)) {
      const { damages, problem } = await verifyModel(store, model);
      if (damages.length === 0 && problem === undefined) {
        whole++;
        continue;
      }
      repaired++;
      expect(
        damages.filter((damage) => damage.kind !== "missing"),
        where,
      ).toEqual([]);
      const again = await repairModel(store, model, damages);
      expect((await verifyModel(store, again)).damages, where).toEqual([]);
      expect(Object.keys((await openModelFolder(again.path)).parts), where).toHaveLength(5);
    }
    // What was not in the list yet left nothing: adding it begins anew, or goes on.
    expect((await download(hub, store)).output, where).toBe("begun\ndone\n");
    expect(liars(store), where).toEqual([]);
  }
  expect(cut, `${cut} of ${KILLS} were cut, ${repaired} repaired, ${whole} whole`).toBeGreaterThan(KILLS / 4);
});

function killAfter(milliseconds: number): (child: ChildProcess) => void {
  return (child) => void setTimeout(() => child.kill("SIGKILL"), milliseconds);
}

/** Ends a child as soon as the hub has sent so much more. */
function killAtBytes(hub: TestHub, bytes: number): (child: ChildProcess) => void {
  const limit = hub.sent() + bytes;
  return (child) => {
    const timer = setInterval(() => hub.sent() >= limit && child.kill("SIGKILL"), 1);
    child.once("close", () => clearInterval(timer));
  };
}

test("a download that is killed again and again goes on each time, and ends with the right hashes", {
  timeout: 120_000,
}, async () => {
  const hub = await startHub();
  hub.slowness = 2;
  const store = await storeFor(hub);
  let tries = 1;
  while ((await download(hub, store, killAtBytes(hub, BETWEEN_KILLS))).output !== "begun\ndone\n") {
    tries++;
    expect(tries).toBeLessThan(40);
  }
  expect(tries).toBeGreaterThan(3);
  const [model] = await listModels(store);
  expect((await verifyModel(store, model!)).damages).toEqual([]);
  // A kill loses what was on its way: of eight connections what was not written yet, or not yet read.
  const lost = hub.sent() - model!.bytes;
  expect(lost, `${lost} bytes lost in ${tries} tries`).toBeLessThan(0.9 * BETWEEN_KILLS * tries);
});

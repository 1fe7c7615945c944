import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { copyTiny, REPOSITORY, startHub, storeFor, TINY, TOKEN, temporaryFolder } from "./test-support.ts";

/** The command line is started as users do, by its path: no room imports it. */
const MAIN = fileURLToPath(new URL("../../apps/cli/main.js", import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command line in a world of its own, with a hub. */
async function world() {
  const hub = await startHub();
  const store = await storeFor(hub);
  const env = {
    PATH: process.env["PATH"],
    HOME: store.folder,
    LC_ALL: "C",
    HF_ENDPOINT: hub.endpoint,
    HF_HOME: join(store.folder, "hf"),
    HF_TOKEN: TOKEN,
  };
  const run = async (
    args: readonly string[],
    extra: Readonly<Record<string, string>> = {},
    onOutput: (text: string, kill: () => void) => void = () => {},
  ): Promise<Outcome> => {
    const child = spawn(process.execPath, [MAIN, ...args], { env: { ...env, ...extra }, cwd: store.folder });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
      onOutput(text, () => child.kill("SIGINT"));
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.stdin.end();
    const [code] = (await once(child, "close")) as [number | null];
    return { code, stdout, stderr };
  };
  return { hub, store, run };
}

test("kandinsky models: add, list, info, draw, verify, remove", async () => {
  const { hub, store, run } = await world();
  const missing = await run(["generate", "a cat", "--model", "kandinsky-3"]);
  expect([missing.code, missing.stderr]).toEqual([
    2,
    expect.stringContaining(`kandinsky models add ${REPOSITORY}`),
  ]);

  const dry = await run(["models", "add", REPOSITORY, "--dry-run"]);
  expect([dry.code, dry.stdout]).toEqual([0, ""]);
  expect(dry.stderr).toMatch(/licence: apache-2.0\n.*4.* MB, weights: fp16\nto download: /);
  expect(existsSync(join(store.folder, "hf"))).toBe(false);

  const added = await run(["models", "add", REPOSITORY]);
  expect(added.code, added.stderr).toBe(0);
  expect(added.stdout).toMatch(/^kandinsky-community\/kandinsky-3: .*snapshots/);
  const listed = await run(["models", "list"]);
  expect(listed.stdout).toMatch(/kandinsky-community\/kandinsky-3 +4.* MB +ready +apache-2.0 +http/);
  const info = JSON.parse((await run(["models", "info", "kandinsky-3", "--json"])).stdout);
  expect(info).toMatchObject({
    name: REPOSITORY,
    source: `${hub.endpoint}/${REPOSITORY}`,
    licence: { name: "apache-2.0" },
  });
  expect((await run(["models", "info", "kandinsky-3"])).stdout).toContain("revision  main, 0123456789abcdef");

  const quick = ["--steps", "2", "--size", "64x64", "--seed", "5"];
  const drawn = await run(["generate", "a cat", "--model", "kandinsky-3", ...quick, "--output", "a.png"]);
  expect(drawn.code, drawn.stderr).toBe(0);
  const same = await run(["generate", "a cat", "--model", TINY, ...quick, "--output", "b.png", "--no-cache"]);
  expect(same.code, same.stderr).toBe(0);
  const pixels = (name: string) => readFileSync(join(store.folder, name)).subarray(-200);
  expect(pixels("a.png").equals(pixels("b.png"))).toBe(true);
  expect((await run(["inspect", REPOSITORY])).stdout).toContain(`${REPOSITORY}: model`);
  expect((await run(["doctor", "--model", "kandinsky-3", "--json"])).stdout).toContain(
    `"name": "${REPOSITORY}"`,
  );

  const good = await run(["models", "verify"]);
  expect([good.code, good.stdout]).toEqual([0, expect.stringMatching(/every hash is right/)]);
  writeFileSync(join(info.path, "unet/config.json"), "{}");
  const offline = await run(["models", "verify"], { HF_HUB_OFFLINE: "1" });
  expect([offline.code, offline.stderr]).toEqual([
    2,
    expect.stringMatching(/unet\/config.json has another size[\s\S]*HF_HUB_OFFLINE/),
  ]);
  const repaired = await run(["models", "verify", "kandinsky-3"]);
  expect([repaired.code, repaired.stdout]).toEqual([0, `${REPOSITORY}: repaired\n`]);

  expect((await run(["models", "remove", "kandinsky-3", "--dry-run"])).stdout).toMatch(/would remove/);
  expect((await run(["models", "remove", "kandinsky-3"])).code).toBe(0);
  expect(existsSync(info.path)).toBe(false);
  expect((await run(["models", "list"])).stderr).toContain("no models yet");
});

test("kandinsky models add: Ctrl-C ends within a second, keeps what came, and the next one goes on", async () => {
  const { hub, run } = await world();
  hub.slowness = 10;
  let at = 0;
  const stopped = await run(["models", "add", REPOSITORY, "--json"], {}, (text, kill) => {
    if (at > 0 || !text.includes('"type":"bytes"')) return;
    at = performance.now();
    kill();
  });
  expect([stopped.code, performance.now() - at < 1000], stopped.stderr).toEqual([130, true]);
  expect(stopped.stderr).toContain("run the command again: it goes on where it was");
  expect((await run(["models", "list"])).stdout).toMatch(/incomplete/);
  const gone = await run(["generate", "x", "--model", "kandinsky-3"]);
  expect([gone.code, gone.stderr]).toEqual([2, expect.stringMatching(/not all there[\s\S]*models add/)]);
  hub.slowness = 0;
  const done = await run(["models", "add", REPOSITORY, "--json"]);
  expect(done.code, done.stderr).toBe(0);
  const events = done.stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect([events[0].type, events.at(-1)]).toEqual([
    "plan",
    expect.objectContaining({ type: "added", state: "ready" }),
  ]);
  expect(events.filter(({ type }) => type === "bytes").at(-1)).toMatchObject({
    bytesPerSecond: expect.any(Number),
  });
});

test("kandinsky models add: folders and files in place, which --model and --lora then know", async () => {
  const { store, run } = await world();
  const tiny = await copyTiny(await temporaryFolder());
  const added = await run(["models", "add", tiny, "--name", "mine"]);
  expect([added.code, added.stdout, added.stderr]).toEqual([0, `mine: ${tiny}\n`, "licence: not stated\n"]);
  const lora = join(TINY, "..", "lora", "kohya.safetensors");
  expect((await run(["models", "add", lora, "--name", "style"])).code).toBe(0);
  const quick = ["--steps", "1", "--size", "64x64", "--output", "a.png"];
  const drawn = await run(["generate", "a cat", "--model", "mine", "--lora", "style:0.5", ...quick]);
  expect(drawn.code, drawn.stderr).toBe(0);
  expect((await run(["lora", "inspect", "style", "--model", "mine"])).stdout).toContain(`fits ${tiny}`);
  expect((await run(["models", "verify"])).stdout).toMatch(
    /mine: headers are right[\s\S]*style: headers are right/,
  );
  expect((await run(["models", "remove", "mine"])).stdout).toContain("stays as it is");
  expect(existsSync(join(tiny, "model_index.json"))).toBe(true);
  expect(existsSync(join(store.folder, "a.png"))).toBe(true);
});

test("kandinsky models gc says what it removes, and removes it", async () => {
  const { store, run } = await world();
  await run(["models", "add", REPOSITORY]);
  const partial = join(
    store.settings.cache,
    "models--kandinsky-community--kandinsky-3/blobs",
    `${"1".repeat(64)}.kandinsky.incomplete`,
  );
  writeFileSync(partial, Buffer.alloc(5000, 1));
  const dry = await run(["models", "gc", "--dry-run"]);
  expect([dry.stdout, dry.stderr]).toEqual([
    expect.stringMatching(/would remove 1 file, 5 kB/),
    expect.stringContaining(partial),
  ]);
  expect(existsSync(partial)).toBe(true);
  expect((await run(["models", "gc", "--json"])).stdout).toContain('"type":"collected"');
  expect(existsSync(partial)).toBe(false);
  expect((await run(["models", "verify"])).code).toBe(0);
});

/** What only a hub can tell, and what the message must name; exit code 2. */
const MISTAKES: readonly (readonly [words: readonly string[], says: RegExp])[] = [
  [["models", "add", "nobody/nothing"], /nothing of this name.*nobody\/nothing/],
  [["models", "add", REPOSITORY, "--revision", "none"], /no such revision/],
  [["models", "add", REPOSITORY, "--variant", "bf16"], /no such weights.*fp16/],
];

test("kandinsky models: what the hub refuses is told in two lines, with exit code 2", async () => {
  const { run } = await world();
  for (const [words, says] of MISTAKES) {
    const { code, stderr } = await run(words);
    expect([words, code, stderr]).toEqual([words, 2, expect.stringMatching(says)]);
    expect(stderr.trim().split("\n"), stderr).toHaveLength(2);
  }
});

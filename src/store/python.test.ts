import { execFile } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { addPlanned, planAdd } from "./add.node.ts";
import { PARTIAL_ENDING } from "./cache.node.ts";
import { listModels } from "./models.node.ts";
import { COMMIT, REPOSITORY, startHub, storeFor, TOKEN } from "./test-support.ts";
import { verifyModel } from "./verify.node.ts";

/** A Python with huggingface_hub, where there is one: these tests hold the layout of the cache to the original. */
const PYTHON = process.env["KANDINSKY_PYTHON"];

async function python(script: string, env: Readonly<Record<string, string>>): Promise<string> {
  const { stdout } = await promisify(execFile)(PYTHON!, ["-c", script], { env });
  return stdout.trim();
}

const SCAN = `
import json
from huggingface_hub import scan_cache_dir
info = scan_cache_dir()
print(json.dumps({
  "warnings": [str(w) for w in info.warnings],
  "repos": [[r.repo_id, r.repo_type, sorted(r.refs), r.nb_files, r.size_on_disk,
             [[v.commit_hash, sorted(v.refs), sorted(str(f.file_path.relative_to(v.snapshot_path)) for f in v.files)] for v in r.revisions]]
            for r in info.repos]}))
`;

test.skipIf(PYTHON === undefined)(
  "huggingface_hub reads what we put into the cache, and downloads none of it again",
  async () => {
    const hub = await startHub();
    const store = await storeFor(hub);
    const plan = await planAdd(store, { repository: REPOSITORY });
    await addPlanned(store, plan);
    const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: join(store.folder, "hf"), HF_TOKEN: TOKEN };
    const scan = JSON.parse(await python(SCAN, env));
    const paths = plan.files.map(({ path }) => path).sort();
    expect(scan.warnings).toEqual([]);
    expect(scan.repos).toEqual([
      [REPOSITORY, "model", ["main"], paths.length, plan.bytes, [[COMMIT, ["main"], paths]]],
    ]);
    // Prepared weights and an unfinished download are no damage in its eyes.
    mkdirSync(join(plan.path, ".kandinsky"));
    writeFileSync(join(plan.path, ".kandinsky", "unet"), "prepared");
    writeFileSync(join(plan.path, `../../blobs/${"a".repeat(64)}${PARTIAL_ENDING}`), "half");
    expect(JSON.parse(await python(SCAN, env)).warnings).toEqual([]);
    const before = hub.sent();
    const get = `
from huggingface_hub import snapshot_download
print(snapshot_download("${REPOSITORY}", allow_patterns=${JSON.stringify(paths)}))`;
    expect(await python(get, env)).toBe(plan.path);
    expect(hub.sent() - before).toBe(0);
    expect(await python(get, { ...env, HF_HUB_OFFLINE: "1" })).toBe(plan.path);
  },
);

test.skipIf(PYTHON === undefined)(
  "what huggingface_hub put into the cache is found, checked, and not downloaded again",
  async () => {
    const hub = await startHub();
    const store = await storeFor(hub);
    const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: join(store.folder, "hf"), HF_TOKEN: TOKEN };
    const snapshot = await python(
      `
from huggingface_hub import snapshot_download
print(snapshot_download("${REPOSITORY}", ignore_patterns=["*.bin", "*.png"]))`,
      env,
    );
    const [model] = await listModels(store);
    expect(model).toMatchObject({
      name: REPOSITORY,
      path: snapshot,
      state: "ready",
      registered: false,
      licence: { name: "apache-2.0" },
    });
    expect((await verifyModel(store, model!)).damages).toEqual([]);
    const plan = await planAdd(store, { repository: REPOSITORY });
    expect(plan.missingBytes).toBe(0);
    const before = hub.sent();
    await addPlanned(store, plan);
    expect(hub.sent() - before).toBe(0);
    expect(lstatSync(join(snapshot, "model_index.json")).isSymbolicLink()).toBe(true);
    expect(readdirSync(join(snapshot, "../..")).sort()).toContain("blobs");
  },
);

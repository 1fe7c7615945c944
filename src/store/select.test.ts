import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { planAdd } from "./add.node.ts";
import { errorOf, publishedModel, REPOSITORY, startHub, storeFor } from "./test-support.ts";

const INDEX = (shards: readonly string[]) =>
  Buffer.from(JSON.stringify({ weight_map: Object.fromEntries(shards.map((shard, i) => [`t${i}`, shard])) }));

type Files = Map<string, Buffer>;
type Falsify = (entry: Record<string, unknown>) => Record<string, unknown>;

/** What is wrong with a repository, the code of the error, and what it must name. */
const REPOSITORIES: readonly (readonly [
  name: string,
  change: (files: Files) => void,
  code: string,
  says: RegExp,
])[] = [
  [
    "of another family",
    (files) => files.set("model_index.json", Buffer.from('{"_class_name": "StableDiffusionXLPipeline"}')),
    "model_family",
    /Stable Diffusion XL/,
  ],
  [
    "whose index is no JSON",
    (files) => files.set("model_index.json", Buffer.from("{")),
    "file_corrupt",
    /model_index.json/,
  ],
  [
    "whose index is no object",
    (files) => files.set("model_index.json", Buffer.from("null")),
    "model_family",
    /_class_name/,
  ],
  [
    "without an index",
    (files) => files.delete("model_index.json"),
    "model_family",
    /model_index.json.*kandinsky-community/,
  ],
  [
    "of the original release",
    (files) => {
      files.clear();
      files.set("weights/kandinsky3.pt", Buffer.alloc(9));
    },
    "model_missing",
    /kandinsky convert/,
  ],
  ["that is empty", (files) => files.clear(), "model_family", /no files/],
  ["without a part", (files) => files.delete("movq/config.json"), "file_missing", /movq\/config.json/],
  [
    "with pickles only",
    (files) => files.delete("unet/diffusion_pytorch_model.fp16.safetensors"),
    "file_missing",
    /diffusion_pytorch_model.bin.*safetensors.*kandinsky convert/,
  ],
  [
    "with half of the shards",
    (files) => {
      shard(files);
      files.delete("text_encoder/model.fp16-00002-of-00002.safetensors");
    },
    "file_missing",
    /00002-of-00002/,
  ],
  [
    "whose index leads out of the folder",
    (files) => {
      shard(files);
      files.set(INDEX_PATH, INDEX(["../../x.safetensors"]));
    },
    "file_escapes",
    /without a path/,
  ],
  [
    "whose index names no files",
    (files) => {
      shard(files);
      files.set(INDEX_PATH, Buffer.from('{"weight_map": {"a": 1}}'));
    },
    "file_corrupt",
    /a file name/,
  ],
  [
    "with one content for two parts",
    (files) =>
      files.set(
        "movq/diffusion_pytorch_model.fp16.safetensors",
        files.get("unet/diffusion_pytorch_model.fp16.safetensors")!,
      ),
    "file_corrupt",
    /unet.*movq.*kandinsky-community/,
  ],
];
const INDEX_PATH = "text_encoder/model.safetensors.index.fp16.json";

/** Gives the text encoder two shards in the old naming. */
function shard(files: Files): void {
  const shards = ["model.fp16-00001-of-00002.safetensors", "model.fp16-00002-of-00002.safetensors"];
  files.set(INDEX_PATH, INDEX(shards));
  const whole = files.get("text_encoder/model.fp16.safetensors")!;
  for (const [i, name] of shards.entries())
    files.set(`text_encoder/${name}`, Buffer.concat([whole, Buffer.alloc(i)]));
  files.delete("text_encoder/model.fp16.safetensors");
}

test.each(REPOSITORIES)(
  "selectFiles refuses a repository %s, before anything is fetched",
  async (_, change, code, says) => {
    const files = publishedModel();
    change(files);
    const store = await storeFor(await startHub(files));
    const error = await errorOf(() => planAdd(store, { repository: REPOSITORY }));
    expect([error.code, error.fault, error.message]).toEqual([code, "user", expect.stringMatching(says)]);
    expect(readdirSync(store.folder)).toEqual([]);
  },
);

test("selectFiles takes index and shards of one variant, and the whole one where another lacks a shard", async () => {
  const files = publishedModel();
  shard(files);
  const plain = "text_encoder/model-00001-of-00002.safetensors";
  files.set(plain, Buffer.alloc(20_000));
  files.set(
    "text_encoder/model.safetensors.index.json",
    INDEX(["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]),
  );
  const store = await storeFor(await startHub(files));
  const plan = await planAdd(store, { repository: REPOSITORY });
  expect(plan.variants["text_encoder"]).toBe("fp16");
  const chosen = plan.files.map(({ path }) => path).filter((path) => path.startsWith("text_encoder/"));
  expect(chosen.sort()).toEqual([
    "text_encoder/config.json",
    "text_encoder/model.fp16-00001-of-00002.safetensors",
    "text_encoder/model.fp16-00002-of-00002.safetensors",
    INDEX_PATH,
  ]);
});

/** What a hostile listing says, and the code of the error. */
const LISTINGS: readonly (readonly [name: string, falsify: Falsify, code: string])[] = [
  ["a path upwards", (entry) => ({ ...entry, path: `unet/../../${entry["path"]}` }), "file_escapes"],
  ["an absolute path", (entry) => ({ ...entry, path: `/etc/${entry["path"]}` }), "file_escapes"],
  ["a path of Windows", (entry) => ({ ...entry, path: `C:/${entry["path"]}` }), "file_escapes"],
  ["a path with backslashes", (entry) => ({ ...entry, path: "unet\\..\\..\\x" }), "file_escapes"],
  ["a hash that is a path", (entry) => ({ ...entry, oid: "../../x", lfs: undefined }), "source_corrupt"],
  ["no hash", ({ oid: _, lfs: __, ...entry }) => entry, "source_corrupt"],
  ["a negative size", (entry) => ({ ...entry, size: -1 }), "source_corrupt"],
  ["a size that is no number", (entry) => ({ ...entry, size: "1e3" }), "source_corrupt"],
  [
    "a huge configuration",
    (entry) => (entry["path"] === "model_index.json" ? { ...entry, size: 1e12 } : entry),
    "source_corrupt",
  ],
];

test.each(LISTINGS)("describeRepository refuses a listing with %s", async (_, falsify, code) => {
  const hub = await startHub();
  hub.falsify = falsify;
  const store = await storeFor(hub);
  expect((await errorOf(() => planAdd(store, { repository: REPOSITORY }))).code).toBe(code);
  expect(readdirSync(store.folder)).toEqual([]);
});

test.each([
  ["org/name/more", undefined, "option_invalid"],
  ["../x/y", undefined, "option_invalid"],
  ["org/na--me", undefined, "option_invalid"],
  ["nobody/nothing", undefined, "source_missing"],
  [REPOSITORY, "no-such", "source_missing"],
  [REPOSITORY, "../main", "option_invalid"],
])("planAdd refuses %s at %s", async (repository, revision, code) => {
  const store = await storeFor(await startHub());
  expect((await errorOf(() => planAdd(store, { repository, revision }))).code).toBe(code);
  expect(readdirSync(store.folder)).toEqual([]);
});

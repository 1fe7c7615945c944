import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { KandinskyError } from "../../../src/base/mod.ts";
import { saveFile } from "../../../src/image/mod.ts";
import { jobSchema, type RunState } from "../../../src/pipelines/mod.ts";
import { DEVICES } from "../../../src/runtime/mod.ts";
import { tensor } from "../../../src/tensor/mod.ts";

const FORMAT = 1;

const index = z.number().int().min(0);

/** A float32 tensor: its shape and its little-endian bytes in base64. */
const latent = z.object({ shape: z.array(index), data: z.base64() }).transform(({ shape, data }) => {
  const bytes = Uint8Array.from(Buffer.from(data, "base64"));
  return tensor("float32", shape, new Float32Array(bytes.buffer));
});

const resumeSchema = z.object({
  kandinskyResume: z.literal(FORMAT),
  /** Folder of the model, and its name to notice another one. */
  model: z.object({ folder: z.string(), name: z.string() }),
  loras: z.array(z.object({ file: z.string(), weight: z.number(), hash: z.string() })),
  device: z.enum(DEVICES).optional(),
  threads: index.optional(),
  output: z.object({ pattern: z.string(), format: z.enum(["png", "webp", "jpeg"]), overwrite: z.boolean() }),
  sheet: z.boolean(),
  /** Pictures that are done, with their files. */
  saved: z.array(z.object({ index, path: z.string() })),
  fingerprint: z.string(),
  job: jobSchema,
  done: z.array(index),
  current: z
    .object({
      pictures: z.array(index),
      sampler: z.object({ index, x: latent, previousX0: latent.optional() }),
    })
    .optional(),
});

/** All that a stopped run needs to go on. */
export type ResumeData = Omit<
  z.output<typeof resumeSchema>,
  "fingerprint" | "job" | "done" | "current" | "kandinskyResume"
> & {
  readonly state: RunState;
};

/** Writes where a run stands, whole or not at all: to `path`, or to a new file beside the pictures. */
export async function writeResume(data: ResumeData, path: string | undefined): Promise<string> {
  const { state, ...rest } = data;
  const packed = (_: string, value: unknown) => (isTensor(value) ? packTensor(value) : value);
  const text = JSON.stringify({ kandinskyResume: FORMAT, ...rest, ...state }, packed);
  const beside = dirname(data.output.pattern).replaceAll(/[/\\]?[^/\\]*\{\w+\}.*$/g, "") || ".";
  const target = path ?? join(beside, "kandinsky-resume-{number}.json");
  return saveFile(target, new TextEncoder().encode(text), { overwrite: path !== undefined });
}

/** Reads what `writeResume` wrote; throws `file_missing` or `file_corrupt`. */
export async function readResume(path: string): Promise<ResumeData> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw new KandinskyError(
      "file_missing",
      { what: "cannot read the file of the stopped run", where: path, hint: "check the name" },
      { cause },
    );
  });
  try {
    const {
      kandinskyResume: _,
      fingerprint,
      job,
      done,
      current,
      ...rest
    } = resumeSchema.parse(JSON.parse(text));
    return {
      ...rest,
      state: { fingerprint, job, done, ...(current === undefined ? {} : { current: exact(current) }) },
    };
  } catch (cause) {
    throw new KandinskyError(
      "file_corrupt",
      {
        what: "this file does not hold a stopped run",
        where: path,
        ...(cause instanceof z.ZodError ? { seen: cause.issues[0]!.path.join(".") || "other contents" } : {}),
        wanted: "the file that Ctrl-C left",
      },
      { cause },
    );
  }
}

type Parsed = NonNullable<z.output<typeof resumeSchema>["current"]>;

/** Leaves out what is not there. */
function exact({ pictures, sampler: { index, x, previousX0 } }: Parsed): NonNullable<RunState["current"]> {
  return { pictures, sampler: { index, x, ...(previousX0 === undefined ? {} : { previousX0 }) } };
}

interface Float32Like {
  readonly dtype: "float32";
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

function isTensor(value: unknown): value is Float32Like {
  return typeof value === "object" && value !== null && "data" in value && value.data instanceof Float32Array;
}

function packTensor({ shape, data }: Float32Like) {
  return { shape, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64") };
}

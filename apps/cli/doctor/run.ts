import type { Command } from "commander";
import { KandinskyError } from "../../../src/base/mod.ts";
import {
  EMBEDDED_MODEL,
  type JobPlan,
  Kandinsky3,
  type ModelInfo,
  packedBytes,
  packedPaths,
  removePacked,
  removeTexts,
  textCacheSize,
} from "../../../src/pipelines/mod.ts";
import { type DeviceReport, describeDevices } from "../../../src/runtime/mod.ts";
import { FILM_CODEC } from "../../../src/video/mod.ts";
import { type Context, print } from "../context.ts";
import { wordError } from "../errors.ts";
import { translate } from "../messages/phrases.ts";
import { formatTable } from "../table.ts";
import { detectGraphics, type GraphicsProtocol } from "../terminal/mod.ts";
import { formatBytes, formatDuration } from "../units.ts";
import { readVersion } from "../version.ts";
import { describeDisk, describeMachine, type MachineReport } from "./machine.ts";

interface DoctorOptions {
  readonly model?: string;
  /** Bytes to plan for. */
  readonly memory?: number;
  readonly removePacked?: boolean;
  readonly removeTexts?: boolean;
  readonly json?: boolean;
}

/** What lies beside a model to save time. */
interface Kept {
  readonly bytes: number;
  readonly files: number;
}

/** What one picture takes here, or why it cannot be drawn. */
type PictureForecast = { readonly width: number; readonly height: number } & (
  | { readonly error: string }
  | { readonly seconds: number; readonly plan?: JobPlan }
);

interface DoctorReport extends MachineReport {
  readonly kandinsky: string;
  readonly devices: readonly DeviceReport[];
  /** The model, or why it does not load. */
  readonly model:
    | Pick<ModelInfo, "name" | "folder" | "side" | "unit" | "profile">
    | { readonly error: string };
  /** What one picture of several sizes takes; none where the model does not load. */
  readonly pictures: readonly PictureForecast[];
  readonly packed: Kept;
  /** Encoded prompts. */
  readonly texts: Kept;
  readonly disk: { readonly free: number; readonly total: number } | undefined;
  readonly graphics: GraphicsProtocol;
  readonly film: typeof FILM_CODEC;
}

/** `kandinsky doctor`. */
export async function runDoctor(context: Context, command: Command): Promise<number> {
  const options = command.opts<DoctorOptions>();
  const { model = EMBEDDED_MODEL, json = false } = options;
  const kinds = KEPT.filter(({ option }) => options[option] === true);
  if (kinds.length > 0) return forget(context, model, kinds, json);
  const report = await examine(context, model, options.memory);
  if (json) print(context, JSON.stringify(report, undefined, 2));
  else for (const line of describe(report, context)) print(context, line);
  return 0;
}

const KEPT = [
  { option: "removePacked", sizeOf: packedOf, remove: removePacked },
  { option: "removeTexts", sizeOf: textCacheSize, remove: removeTexts },
] as const;

async function forget(
  context: Context,
  model: string,
  kinds: readonly (typeof KEPT)[number][],
  json: boolean,
): Promise<number> {
  const { text, language } = context;
  // A folder without a model has nothing of ours either, and a wrong name should be told.
  const { info } = await Kandinsky3.load({ model });
  let removed: Kept = { bytes: 0, files: 0 };
  for (const { sizeOf, remove } of kinds) {
    const { bytes, files } = await sizeOf(info.folder);
    await remove(info.folder);
    removed = { bytes: removed.bytes + bytes, files: removed.files + files };
  }
  print(
    context,
    json
      ? JSON.stringify({ removed })
      : text.doctor.removed(formatBytes(removed.bytes, language), removed.files),
  );
  return 0;
}

async function packedOf(folder: string): Promise<Kept> {
  return { bytes: await packedBytes(folder), files: (await packedPaths(folder)).length };
}

async function examine(context: Context, folder: string, memory: number | undefined): Promise<DoctorReport> {
  const [machine, devices, model, packed, texts, disk] = await Promise.all([
    describeMachine(),
    describeDevices(),
    examineModel(context, folder),
    packedOf(folder),
    textCacheSize(folder),
    describeDisk(folder).catch(() => undefined),
  ]);
  // After the rest: it tries how fast this machine is.
  const pictures = "error" in model ? [] : await forecast(context, folder, memory, machine.memory.free);
  const graphics = detectGraphics(context.env, context.stderr.isTTY === true);
  const film = FILM_CODEC;
  return {
    kandinsky: readVersion(),
    ...machine,
    devices,
    model,
    pictures,
    packed,
    texts,
    disk,
    graphics,
    film,
  };
}

/** Shares of the model's side that are forecast. */
const FORECAST_SHARES = [1, 0.75, 0.5];

async function forecast(
  context: Context,
  folder: string,
  memory: number | undefined,
  free: number,
): Promise<PictureForecast[]> {
  await using model = await Kandinsky3.load({ model: folder, ...(memory === undefined ? {} : { memory }) });
  // Small pictures have no plan and but a bound of their time, unless there is a limit.
  await using planning = await Kandinsky3.load({ model: folder, memory: memory ?? free });
  const { side, unit } = model.info;
  const sides = FORECAST_SHARES.map((share) => Math.max(1, Math.round((side * share) / unit)) * unit);
  const pictures: PictureForecast[] = [];
  for (const one of new Set(sides)) {
    const size = { width: one, height: one };
    try {
      const job = await model.resolve({ prompt: "x", seed: 0, ...size });
      const estimate = await model.estimate(job);
      pictures.push({ ...size, ...(estimate.plan === undefined ? await planning.estimate(job) : estimate) });
    } catch (error) {
      if (!(error instanceof KandinskyError)) throw error;
      pictures.push({ ...size, error: wordError(context, error).replace("\n ", ";") });
    }
  }
  return pictures;
}

async function examineModel(context: Context, folder: string): Promise<DoctorReport["model"]> {
  try {
    const { name, folder: real, side, unit, profile } = (await Kandinsky3.load({ model: folder })).info;
    return { name, folder: real, side, unit, profile };
  } catch (error) {
    if (error instanceof KandinskyError) return { error: wordError(context, error) };
    throw error;
  }
}

function describe(report: DoctorReport, { text, language }: Context): string[] {
  const { doctor: t } = text;
  const bytes = (count: number) => formatBytes(count, language);
  const room = ({ free, total }: { free: number; total: number }) => t.free(bytes(free), bytes(total));
  const { rows } = t;
  const { model } = report;
  const lines: [string, string][] = [
    [rows.program, report.kandinsky],
    [rows.node, report.node],
    [rows.system, report.system],
    [rows.processor, `${report.processor}, ${t.cores(report.cores)}`],
    [rows.vector, report.vector === undefined ? t.unknown : report.vector.join(" ") || t.none],
    [rows.memory, room(report.memory)],
    [rows.runtime, report.runtime],
    ...report.devices.flatMap((device): [string, string][] => [
      [
        `${rows.device} ${device.device}`,
        device.available ? t.available : t.absent(translate(device.reason, language)),
      ],
      ...(device.available || device.hint === ""
        ? []
        : [["", translate(device.hint, language)] satisfies [string, string]]),
    ]),
    [
      rows.model,
      "error" in model ? model.error : t.modelLine(model.name, model.folder, model.side, model.profile),
    ],
    ...report.pictures.map((picture, i): [string, string] => [
      i === 0 ? rows.picture : "",
      wordForecast(picture, { text, language }),
    ]),
    [rows.packed, report.packed.files === 0 ? t.none : t.packed(bytes(report.packed.bytes))],
    [rows.texts, report.texts.files === 0 ? t.none : t.texts(bytes(report.texts.bytes), report.texts.files)],
    [rows.disk, report.disk === undefined ? t.unknown : room(report.disk)],
    [rows.graphics, report.graphics === "none" ? t.none : report.graphics],
    [rows.film, t.film(report.film.codec, report.film.library, report.film.license)],
  ];
  return formatTable(lines, []);
}

function wordForecast(
  picture: PictureForecast,
  { text, language }: Pick<Context, "text" | "language">,
): string {
  const { doctor: t } = text;
  const size = `${picture.width}x${picture.height}`;
  if ("error" in picture) return t.noPicture(size, picture.error);
  const time = formatDuration(picture.seconds, language);
  const stages = picture.plan?.stages ?? [];
  const step = stages.findLast(({ part }) => part === "unet");
  if (step === undefined) return t.picture(size, time);
  const bytes = Math.max(
    ...stages.map(({ expectedBytes, weightBytes, passes }) => expectedBytes + (passes > 1 ? weightBytes : 0)),
  );
  return t.pictureWith(size, time, formatBytes(bytes, language), step.dtype);
}

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { KandinskyError } from "../../../src/base/mod.ts";
import {
  EMBEDDED_MODEL,
  Kandinsky3,
  type ModelInfo,
  PACK_FOLDER,
  packedBytes,
  removePacked,
} from "../../../src/pipelines/mod.ts";
import { type DeviceReport, describeDevices } from "../../../src/runtime/mod.ts";
import { FILM_CODEC } from "../../../src/video/mod.ts";
import { type Context, print } from "../context.ts";
import { wordError } from "../errors.ts";
import { translate } from "../messages/phrases.ts";
import { formatTable } from "../table.ts";
import { detectGraphics, type GraphicsProtocol } from "../terminal/mod.ts";
import { formatBytes } from "../units.ts";
import { readVersion } from "../version.ts";
import { describeDisk, describeMachine, type MachineReport } from "./machine.ts";

interface DoctorOptions {
  readonly model?: string;
  readonly removePacked?: boolean;
  readonly json?: boolean;
}

interface DoctorReport extends MachineReport {
  readonly kandinsky: string;
  readonly devices: readonly DeviceReport[];
  /** The model, or why it does not load. */
  readonly model:
    | Pick<ModelInfo, "name" | "folder" | "side" | "unit" | "profile">
    | { readonly error: string };
  readonly packed: { readonly bytes: number; readonly files: number };
  readonly disk: { readonly free: number; readonly total: number } | undefined;
  readonly graphics: GraphicsProtocol;
  readonly film: typeof FILM_CODEC;
}

/** `kandinsky doctor`. */
export async function runDoctor(context: Context, command: Command): Promise<number> {
  const {
    model = EMBEDDED_MODEL,
    removePacked: remove = false,
    json = false,
  } = command.opts<DoctorOptions>();
  if (remove) return forget(context, model, json);
  const report = await examine(context, model);
  if (json) print(context, JSON.stringify(report, undefined, 2));
  else for (const line of describe(report, context)) print(context, line);
  return 0;
}

async function forget(context: Context, model: string, json: boolean): Promise<number> {
  const { text, language } = context;
  // A folder without a model has no packed weights either, and a wrong name should be told.
  const { info } = await Kandinsky3.load({ model });
  const packed = await packedOf(info.folder);
  await removePacked(info.folder);
  print(
    context,
    json
      ? JSON.stringify({ removed: packed })
      : text.doctor.removed(formatBytes(packed.bytes, language), packed.files),
  );
  return 0;
}

async function packedOf(folder: string): Promise<DoctorReport["packed"]> {
  const names = await readdir(join(folder, PACK_FOLDER)).catch(() => []);
  return { bytes: await packedBytes(folder), files: names.length };
}

async function examine(context: Context, folder: string): Promise<DoctorReport> {
  const [machine, devices, model, packed, disk] = await Promise.all([
    describeMachine(),
    describeDevices(),
    examineModel(context, folder),
    packedOf(folder),
    describeDisk(folder).catch(() => undefined),
  ]);
  const graphics = detectGraphics(context.env, context.stderr.isTTY === true);
  return { kandinsky: readVersion(), ...machine, devices, model, packed, disk, graphics, film: FILM_CODEC };
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
    [rows.packed, report.packed.files === 0 ? t.none : t.packed(bytes(report.packed.bytes))],
    [rows.disk, report.disk === undefined ? t.unknown : room(report.disk)],
    [rows.graphics, report.graphics === "none" ? t.none : report.graphics],
    [rows.film, t.film(report.film.codec, report.film.library, report.film.license)],
  ];
  return formatTable(lines, []);
}

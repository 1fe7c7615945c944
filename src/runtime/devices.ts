import { KandinskyError } from "../base/mod.ts";
import { startEngine } from "./engine.ts";
import { DEVICES, type Device } from "./types.ts";

/** Whether a device works here, and if not, why and what would help. */
export type DeviceReport =
  | { readonly device: Device; readonly available: true }
  | { readonly device: Device; readonly available: false; readonly reason: string; readonly hint: string };

/** Tries every device by starting an engine on it: one process each, at the same time. */
export function describeDevices(): Promise<DeviceReport[]> {
  return Promise.all(DEVICES.map(describeDevice));
}

async function describeDevice(device: Device): Promise<DeviceReport> {
  try {
    await using _engine = await startEngine({ device, threads: 1 });
    return { device, available: true };
  } catch (error) {
    if (!(error instanceof KandinskyError)) throw error;
    const { seen, what, hint } = error.parts;
    return { device, available: false, reason: seen ?? what, hint: hint ?? "" };
  }
}

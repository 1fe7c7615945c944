import { KandinskyError } from "../base/mod.ts";
import { readable } from "./runtime-errors.ts";
import type { Device } from "./types.ts";

/** What is known when a device does not start. */
export interface Symptoms {
  readonly platform: string;
  readonly arch: string;
  /** Whether this build of ONNX Runtime lists the device at all. */
  readonly listed: boolean;
  /** Whether ONNX Runtime's CUDA library lies beside its binary. */
  readonly cudaLibrary: boolean;
  readonly message: string;
}

interface Cause {
  readonly applies: (symptoms: Symptoms) => boolean;
  readonly reason: (symptoms: Symptoms) => string;
  readonly hint: string;
}

const OTHER: Cause = {
  applies: () => true,
  reason: ({ message }) => readable(message),
  hint: "use another device; `kandinsky doctor` lists them",
};

/** First cause that applies, by device. */
const CAUSES: Readonly<Record<Device, readonly Cause[]>> = {
  cpu: [OTHER],
  webgpu: [
    {
      applies: ({ listed }) => !listed,
      reason: ({ platform, arch }) => `ONNX Runtime's build for ${platform} ${arch} has no WebGPU`,
      hint: "use --device cpu",
    },
    {
      applies: ({ message, platform }) => message.includes("WebGPU adapter") && platform === "linux",
      reason: () => "no graphics adapter was found through Vulkan",
      hint: "install the Vulkan loader (libvulkan1) and the driver of your graphics card, or use --device cpu",
    },
    {
      applies: ({ message }) => message.includes("WebGPU adapter"),
      reason: () => "no graphics adapter was found",
      hint: "install the driver of your graphics card, or use --device cpu",
    },
    OTHER,
  ],
  cuda: [
    {
      applies: ({ listed }) => !listed,
      reason: ({ platform, arch }) =>
        `ONNX Runtime for Node has CUDA on linux x64 only, and this is ${platform} ${arch}`,
      hint: "use --device cpu or webgpu",
    },
    {
      applies: ({ cudaLibrary }) => !cudaLibrary,
      reason: () => "the CUDA library of ONNX Runtime is not installed (libonnxruntime_providers_cuda.so)",
      hint: "npm rebuild onnxruntime-node --onnxruntime-node-install=cuda12 downloads it",
    },
    {
      applies: ({ message }) => message.includes("Failed to load shared library"),
      reason: () => "the CUDA library of ONNX Runtime does not load",
      hint: "install CUDA 12 and cuDNN 9, and let LD_LIBRARY_PATH name their folders",
    },
    OTHER,
  ],
};

/** The `device_absent` error: why this device cannot be used here, and what would help. */
export function deviceAbsent(device: Device, symptoms: Symptoms): KandinskyError {
  const cause = CAUSES[device].find(({ applies }) => applies(symptoms)) ?? OTHER;
  return new KandinskyError("device_absent", {
    what: `device ${device} is not available`,
    seen: cause.reason(symptoms),
    hint: cause.hint,
  });
}

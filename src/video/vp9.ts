import { type Instance, LibAV, type Packet } from "@libav.js/variant-webm-vp9";
import { KandinskyError } from "../base/mod.ts";
import type { Yuv420 } from "./yuv.ts";

/** One compressed frame. */
export interface VideoPacket {
  readonly data: Uint8Array;
  /** Whether it can be decoded without the frames before it. */
  readonly key: boolean;
}

/** libav's numbers: 4:2:0 planes of bytes, and messages of errors only. */
const YUV420P = 0;
const LOG_ERRORS = 16;

/** Frames between key frames: a player can jump to every fifth second of a film of 24 frames a second. */
const KEY_INTERVAL = 120;

/**
 * Fastest of libvpx's settings, in which one frame comes out as it goes in: 512 px at 40 frames a second on one core
 * where the thorough ones do 6.
 */
const SPEED = { deadline: "realtime", "cpu-used": "8", "lag-in-frames": "0" } as const;

/** The constant quality that libvpx is asked for, 63 (worst) to 4, at a quality of 1 to 100. */
export function quantizerOf(quality: number): number {
  return Math.round(4 + (100 - quality) * 0.6);
}

/** Compresses frames of one size, one packet each. Equal frames give equal packets on every machine. */
export async function* encodeVp9(
  frames: AsyncIterable<Yuv420>,
  quality: number,
): AsyncGenerator<VideoPacket, void, void> {
  let encoder: Encoder | undefined;
  let index = 0;
  try {
    for await (const frame of frames) {
      encoder ??= await openEncoder(frame, quality);
      yield await encoder.encode(frame, index++);
    }
  } finally {
    await encoder?.close();
  }
}

interface Encoder {
  readonly encode: (frame: Yuv420, index: number) => Promise<VideoPacket>;
  readonly close: () => Promise<void>;
}

async function openEncoder({ width, height }: Yuv420, quality: number): Promise<Encoder> {
  const libav = await openLibav();
  const [, context, frame, packet] = await libav.ff_init_encoder("libvpx-vp9", {
    ctx: { width, height, pix_fmt: YUV420P, bit_rate: 0 },
    time_base: [1, 1000],
    options: {
      ...SPEED,
      crf: String(quantizerOf(quality)),
      g: String(KEY_INTERVAL),
      colorspace: "bt709",
      color_range: "tv",
    },
  });
  const chromaWidth = (width + 1) >> 1;
  const layout = [
    { offset: 0, stride: width },
    { offset: width * height, stride: chromaWidth },
    { offset: width * height + chromaWidth * ((height + 1) >> 1), stride: chromaWidth },
  ];
  return {
    encode: async ({ data }, index) => {
      const input = { data, layout, format: YUV420P, width, height, pts: index, ptshi: 0 };
      const [output] = await libav.ff_encode_multi(context, frame, packet, [input]);
      if (output === undefined) throw failed("the encoder gave nothing", index);
      return { data: output.data, key: ((output.flags ?? 0) & 1) === 1 };
    },
    close: async () => {
      await libav.ff_free_encoder(context, frame, packet);
      libav.terminate();
    },
  };
}

/** Decoders that libav.js brings, by the name of the codec. */
const DECODERS = { vp8: "libvpx", vp9: "libvpx-vp9" } as const;

export type DecodableCodec = keyof typeof DECODERS;

export function isDecodable(codec: string | null): codec is DecodableCodec {
  return codec !== null && Object.hasOwn(DECODERS, codec);
}

/** The frames of a film's packets, in order. Throws `file_corrupt` naming the first packet that makes no sense. */
export async function* decodeVideo(
  packets: AsyncIterable<Uint8Array>,
  codec: DecodableCodec,
  where: string,
): AsyncGenerator<Yuv420, void, void> {
  const libav = await openLibav();
  const [, context, packet, frame] = await libav.ff_init_decoder(DECODERS[codec]);
  try {
    let index = 0;
    for await (const data of packets) {
      const input: Packet = { data, pts: index, ptshi: 0 };
      const frames = await libav
        .ff_decode_multi(context, packet, frame, [input])
        .catch((cause: unknown) => Promise.reject(corrupt(where, index, cause)));
      for (const decoded of frames) yield planesOf(decoded);
      index++;
    }
  } finally {
    await libav.ff_free_decoder(context, packet, frame);
    libav.terminate();
  }
}

/** The planes of a decoded frame without the padding of their lines. */
function planesOf(frame: Awaited<ReturnType<Instance["ff_decode_multi"]>>[number]): Yuv420 {
  const { width = 0, height = 0, layout = [], data, format } = frame;
  if (format !== YUV420P) throw failed(`pixel format ${format} is not 8-bit 4:2:0`);
  const chromaWidth = (width + 1) >> 1;
  const chromaHeight = (height + 1) >> 1;
  const planes = new Uint8Array(width * height + 2 * chromaWidth * chromaHeight);
  let at = 0;
  for (const [i, { offset, stride }] of layout.slice(0, 3).entries()) {
    const [columns, rows] = i === 0 ? [width, height] : [chromaWidth, chromaHeight];
    for (let row = 0; row < rows; row++, at += columns) {
      const start = offset + row * stride;
      planes.set((data as Uint8Array).subarray(start, start + columns), at);
    }
  }
  return { width, height, data: planes };
}

async function openLibav(): Promise<Instance> {
  const libav = await LibAV({ noworker: true, nothreads: true });
  await libav.av_log_set_level(LOG_ERRORS);
  return libav;
}

function corrupt(where: string, index: number, cause: unknown): KandinskyError {
  return new KandinskyError(
    "file_corrupt",
    {
      what: "cannot read the film",
      where,
      seen: `packet ${index + 1} that makes no sense`,
      hint: "copy the file again from where it came from",
    },
    { cause },
  );
}

function failed(seen: string, index?: number): KandinskyError {
  const where = index === undefined ? {} : { where: `frame ${index + 1}` };
  return new KandinskyError("engine_died", { what: "the video codec failed", ...where, seen });
}

import {
  EncodedAudioPacketSource,
  EncodedPacket,
  EncodedVideoPacketSource,
  Mp4OutputFormat,
  Output,
  StreamTarget,
  WebMOutputFormat,
} from "mediabunny";
import { KandinskyError } from "../base/mod.ts";
import type { Sound } from "./audio.ts";
import { frameTime } from "./format.ts";
import type { VideoPacket } from "./vp9.ts";

/** Writes bytes at a place of the file. */
export type WriteAt = (data: Uint8Array, position: number) => Promise<void>;

export interface MuxOptions {
  readonly container: keyof typeof CONTAINERS;
  readonly frameRate: number;
  readonly width: number;
  readonly height: number;
  readonly sound?: Sound;
  /** A text in the file that players do not show. */
  readonly comment?: string;
}

const CONTAINERS = {
  webm: () => new WebMOutputFormat(),
  // The index comes at the end: at the beginning it would need the whole film in memory.
  mp4: () => new Mp4OutputFormat({ fastStart: false }),
} as const;

/** Times are whole milliseconds, as WebM stores them, so that both containers tell the same. */
const UNIT = 1000;

/** Puts packets and sound into a file. Memory holds one cluster, whatever the film's length. */
export async function mux(
  packets: AsyncIterable<VideoPacket>,
  { container, frameRate, width, height, sound, comment }: MuxOptions,
  write: WriteAt,
): Promise<void> {
  const target = new StreamTarget(
    new WritableStream({ write: ({ data, position }) => write(data, position) }),
    { chunked: true, chunkSize: 2 ** 20 },
  );
  const format = CONTAINERS[container]();
  const output = new Output({ format, target });
  const video = new EncodedVideoPacketSource("vp9");
  output.addVideoTrack(video, { frameRate });
  const audio =
    sound === undefined ? undefined : addSound(output, format.getSupportedAudioCodecs(), sound, container);
  if (comment !== undefined) output.setMetadataTags({ comment });
  await output.start();

  const decoderConfig = {
    codec: codecString(width, height, frameRate),
    codedWidth: width,
    codedHeight: height,
    colorSpace: { primaries: "bt709", transfer: "bt709", matrix: "bt709", fullRange: false },
  } as const;
  let index = 0;
  for await (const { data, key } of packets) {
    const start = frameTime(index, frameRate, UNIT) / UNIT;
    const end = frameTime(index + 1, frameRate, UNIT) / UNIT;
    await audio?.upTo(end);
    await video.add(new EncodedPacket(data, key ? "key" : "delta", start, end - start), { decoderConfig });
    index++;
  }
  await output.finalize();
}

function addSound(
  output: Output,
  supported: readonly string[],
  { codec, config, packets, where }: Sound,
  container: string,
): { readonly upTo: (seconds: number) => Promise<void> } {
  if (!supported.includes(codec)) {
    throw new KandinskyError("option_invalid", {
      what: "this sound cannot go into the film as it is",
      where,
      seen: `${codec} for ${container}`,
      wanted: supported
        .filter((name) => !name.startsWith("pcm") && name !== "ulaw" && name !== "alaw")
        .join(", "),
      hint: "give it in another format, or write the film as .webm (Opus, Vorbis) or .mp4 (AAC, MP3, FLAC)",
    });
  }
  const source = new EncodedAudioPacketSource(codec);
  output.addAudioTrack(source);
  const iterator = packets[Symbol.asyncIterator]();
  let next = iterator.next();
  return {
    upTo: async (seconds) => {
      for (let item = await next; item.done !== true && item.value.timestamp < seconds; item = await next) {
        await source.add(item.value, { decoderConfig: config });
        next = iterator.next();
      }
    },
  };
}

/** Samples a second and samples of a frame that each level of VP9 allows (VP9 bitstream specification, annex A). */
const LEVELS = [
  [10, 829_440, 36_864],
  [11, 2_764_800, 73_728],
  [20, 4_608_000, 122_880],
  [21, 9_216_000, 245_760],
  [30, 20_736_000, 552_960],
  [31, 36_864_000, 983_040],
  [40, 83_558_400, 2_228_224],
  [41, 160_432_128, 2_228_224],
  [50, 311_951_360, 8_912_896],
  [51, 588_251_136, 8_912_896],
  [52, 1_176_502_272, 8_912_896],
  [60, 1_176_502_272, 35_651_584],
  [61, 2_353_004_544, 35_651_584],
  [62, 4_706_009_088, 35_651_584],
] as const;

/** The codec string of profile 0, 8 bits, 4:2:0, BT.709 in limited range. */
export function codecString(width: number, height: number, frameRate: number): string {
  const size = width * height;
  const level = LEVELS.find(([, rate, most]) => size <= most && size * frameRate <= rate)?.[0] ?? 62;
  return `vp09.00.${level}.08.01.01.01.01.00`;
}

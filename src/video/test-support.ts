import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LibAV } from "@libav.js/variant-webm-vp9";
import { onTestFinished } from "vitest";
import type { Picture } from "../image/mod.ts";

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "kandinsky-video-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Smooth coloured waves that move with `index`; the mean blue tells it. */
export function waves(width: number, height: number, index: number): Picture {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      data[at] = 128 + 90 * Math.sin((x + 2 * index) / 11) * Math.cos(y / 17);
      data[at + 1] = 128 + 80 * Math.cos((y - index) / 13);
      data[at + 2] = 40 + 8 * (index % 20);
    }
  }
  return { width, height, data };
}

export function* film(width: number, height: number, frames: number): Generator<Picture> {
  for (let index = 0; index < frames; index++) yield waves(width, height, index);
}

export function meanDifference(a: Picture, b: Picture): number {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += Math.abs(a.data[i]! - b.data[i]!);
  return sum / a.data.length;
}

/** What FFmpeg's demuxer and libvpx find in a WebM: another reader than the one the room uses. */
export async function readWithFfmpeg(path: string) {
  const libav = await LibAV({ noworker: true, nothreads: true });
  await libav.av_log_set_level(16);
  await libav.writeFile("film", readFileSync(path));
  const [context, streams] = await libav.ff_init_demuxer_file("film");
  const reader = await libav.av_packet_alloc();
  const [, packets] = await libav.ff_read_frame_multi(context, reader);
  const video = streams.find((stream) => stream.codec_type === 0)!;
  const audio = streams.find((stream) => stream.codec_type === 1);
  const [, decoder, packet, frame] = await libav.ff_init_decoder("libvpx-vp9", video.codecpar);
  const frames = await libav.ff_decode_multi(decoder, packet, frame, packets[video.index]!, true);
  const times = packets[video.index]!.map(({ pts = 0 }) => (pts * video.time_base_num) / video.time_base_den);
  const result = {
    frames: frames.length,
    sizes: new Set(frames.map(({ width, height }) => `${width}x${height}`)),
    times,
    seconds:
      times.at(-1)! +
      (packets[video.index]!.at(-1)!.duration ?? 0) * (video.time_base_num / video.time_base_den),
    soundPackets: audio === undefined ? 0 : packets[audio.index]!.length,
  };
  libav.terminate();
  return result;
}

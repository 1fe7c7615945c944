import {
  ALL_FORMATS,
  type AudioCodec,
  type EncodedPacket,
  EncodedPacketSink,
  FilePathSource,
  Input,
} from "mediabunny";
import { KandinskyError } from "../base/mod.ts";

/** The sound of a file, compressed as it is there. */
export interface Sound {
  readonly codec: AudioCodec;
  readonly config: AudioDecoderConfig;
  readonly packets: AsyncIterable<EncodedPacket>;
  readonly where: string;
}

/** Opens the first sound of a file and passes it on. Throws `file_missing`, and `file_corrupt` for a file without any. */
export async function withSound<T>(path: string, use: (sound: Sound) => Promise<T>): Promise<T> {
  const input = new Input({ source: new FilePathSource(path), formats: ALL_FORMATS });
  try {
    return await use(await soundOf(input, path));
  } finally {
    input.dispose();
  }
}

async function soundOf(input: Input, where: string): Promise<Sound> {
  try {
    const track = await input.getPrimaryAudioTrack();
    const codec = await track?.getCodec();
    const config = await track?.getDecoderConfig();
    if (track === null || codec == null || config == null) throw noSound(where, "no sound");
    return { codec, config, packets: new EncodedPacketSink(track).packets(), where };
  } catch (cause) {
    if (cause instanceof KandinskyError) throw cause;
    const missing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    if (missing)
      throw new KandinskyError("file_missing", {
        what: "cannot read the sound",
        where,
        hint: "check the name",
      });
    throw noSound(where, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function noSound(where: string, seen: string, cause?: unknown): KandinskyError {
  return new KandinskyError(
    "file_corrupt",
    {
      what: "cannot read the sound",
      where,
      seen,
      wanted: "an Ogg, MP3, M4A, FLAC, WebM or MP4 file with sound",
    },
    { cause },
  );
}

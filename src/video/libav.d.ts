/** The part of libav.js that is used here: its own declarations are not found by TypeScript's module resolution. */
declare module "@libav.js/variant-webm-vp9" {
  export interface Frame {
    readonly data: Uint8Array | Float32Array | readonly Float32Array[];
    readonly format: number;
    readonly layout?: readonly { readonly offset: number; readonly stride: number }[];
    readonly width?: number;
    readonly height?: number;
    readonly pts?: number;
    readonly ptshi?: number;
    readonly channel_layout?: number;
    readonly channels?: number;
    readonly sample_rate?: number;
    readonly nb_samples?: number;
  }

  export interface Packet {
    readonly data: Uint8Array;
    readonly pts?: number;
    readonly ptshi?: number;
    readonly duration?: number;
    readonly flags?: number;
    readonly stream_index?: number;
  }

  export interface Stream {
    readonly index: number;
    readonly codec_type: number;
    readonly codec_id: number;
    readonly codecpar: number;
    readonly duration: number;
    readonly time_base_num: number;
    readonly time_base_den: number;
  }

  export interface Instance {
    av_log_set_level(level: number): Promise<void>;
    ff_init_encoder(
      name: string,
      options: {
        readonly ctx: Readonly<Record<string, number>>;
        readonly time_base: readonly [number, number];
        readonly options?: Readonly<Record<string, string>>;
      },
    ): Promise<[codec: number, context: number, frame: number, packet: number, frameSize: number]>;
    ff_encode_multi(
      context: number,
      frame: number,
      packet: number,
      frames: readonly Frame[],
      finish?: boolean,
    ): Promise<Packet[]>;
    ff_free_encoder(context: number, frame: number, packet: number): Promise<void>;
    ff_init_decoder(
      name: string,
      parameters?: number,
    ): Promise<[codec: number, context: number, packet: number, frame: number]>;
    ff_decode_multi(
      context: number,
      packet: number,
      frame: number,
      packets: readonly Packet[],
      finish?: boolean,
    ): Promise<Frame[]>;
    ff_free_decoder(context: number, packet: number, frame: number): Promise<void>;
    writeFile(name: string, data: Uint8Array): Promise<void>;
    unlink(name: string): Promise<void>;
    ff_init_demuxer_file(name: string): Promise<[context: number, streams: Stream[]]>;
    ff_read_frame_multi(
      context: number,
      packet: number,
    ): Promise<[result: number, packets: Readonly<Record<number, Packet[]>>]>;
    av_packet_alloc(): Promise<number>;
    av_packet_free_js(packet: number): Promise<void>;
    avformat_close_input_js(context: number): Promise<void>;
    terminate(): void;
  }

  export function LibAV(options: {
    readonly noworker: boolean;
    readonly nothreads: boolean;
  }): Promise<Instance>;
}

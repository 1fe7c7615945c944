/** What a picture was made with. `extra` settings follow the usual ones in the `parameters` text. */
export interface PictureMetadata {
  readonly prompt: string;
  /** Empty where there was none. */
  readonly negativePrompt: string;
  readonly steps: number;
  readonly sampler: string;
  readonly guidance: number;
  readonly seed: number | bigint;
  readonly width: number;
  readonly height: number;
  readonly model: string;
  readonly extra?: Readonly<Record<string, string | number>>;
  /** Everything needed to make the picture again; any JSON object, kept exactly. */
  readonly json: object;
}

/**
 * The `parameters` text as AUTOMATIC1111's web UI writes and reads it: the prompt, a line with the negative
 * prompt unless it is empty, and one last line of settings; a value with a comma, colon or line break is quoted
 * as JSON. The text cannot tell a prompt that holds such lines itself from its settings: the JSON can.
 */
export function formatParameters(metadata: PictureMetadata): string {
  const settings: readonly (readonly [string, string | number | bigint])[] = [
    ["Steps", metadata.steps],
    ["Sampler", metadata.sampler],
    ["CFG scale", metadata.guidance],
    ["Seed", metadata.seed],
    ["Size", `${metadata.width}x${metadata.height}`],
    ["Model", metadata.model],
    ...Object.entries(metadata.extra ?? {}),
  ];
  return [
    metadata.prompt,
    ...(metadata.negativePrompt === "" ? [] : [`Negative prompt: ${metadata.negativePrompt}`]),
    settings.map(([name, value]) => `${name}: ${quote(String(value))}`).join(", "),
  ].join("\n");
}

function quote(value: string): string {
  return /[,:\n]/.test(value) ? JSON.stringify(value) : value;
}

import { join } from "node:path";
import { z } from "zod";
import { openPart } from "../../src/checkpoint/mod.ts";
import {
  type MapShape,
  type MovqConfig,
  movqDecoderGraph,
  movqEncoderGraph,
  movqQuantizerGraph,
} from "../../src/models/mod.ts";
import { bindMovq, type ModelPart, MovqRunner } from "../../src/pipelines/mod.ts";
import { cast, type Tensor } from "../../src/tensor/mod.ts";
import { type Context, runGraph } from "./context.ts";
import type { Fixture } from "./fixture.ts";
import { readJsonAs } from "./folder.ts";

export const MOVQ_FILE = "movq.safetensors";

const schema = z.object({ model: z.string() });

/** Encoder, quantiser and decoder, with their intermediates. */
export async function movq(context: Context): Promise<void> {
  const fixture = context.fixture(MOVQ_FILE);
  if (fixture === undefined) return;
  const { model } = await readJsonAs(context.folder, "movq.json", schema);
  const at = await openTools(context, model);

  const image = fixture.float32("image");
  const encoded = await at.run(movqEncoderGraph(at.config, shapeOf(image)), { image });
  const latents = encoded.get("latents") as Tensor<"float32">;
  expectAll(fixture, "encoder/", encoded, "encoder.");
  fixture.expect("latents", latents);
  const codes = await at.quantize(latents);
  fixture.expect("indices", codes.indices);
  fixture.expect("z_q", codes.quantized);

  const z = fixture.float32("decode/z");
  const decoded = await at.run(movqDecoderGraph(at.config, shapeOf(z)), { latents: z });
  expectAll(fixture, "decoder/", decoded, "decoder.");
  fixture.expect("decode/post_quant_conv", decoded.get("post_quant_conv")!);
  fixture.expect("decode/raw", await at.decode(z));
  const quantized = await at.quantize(z);
  fixture.expect("decode/z_indices", quantized.indices);
  fixture.expect("decode/quantized", await at.decode(quantized.quantized));
}

/** What runs a MoVQ of the folder. */
export async function openTools(context: Context, path: string) {
  const { config, part }: ModelPart<MovqConfig> = bindMovq(await openPart(join(context.folder, path)));
  const run = (graph: ReturnType<typeof movqDecoderGraph>, feeds: Readonly<Record<string, Tensor>>) =>
    runGraph(context.workshop, part, graph, feeds, [...graph.taps.keys(), ...graph.outputs.keys()]);
  return {
    config,
    run,
    /** As the product decodes. */
    decode: (latents: Tensor<"float32">) =>
      new MovqRunner(context.workshop, part, config, context.passes).decode(latents),
    quantize: async (latents: Tensor<"float32">) => {
      const results = await run(movqQuantizerGraph(config, shapeOf(latents)), { latents });
      return {
        indices: cast(results.get("indices")!, "int32"),
        quantized: results.get("quantized") as Tensor<"float32">,
      };
    },
  };
}

/** Compares the results of all modules that the fixture has under `prefix`. */
function expectAll(
  fixture: Fixture,
  prefix: string,
  seen: ReadonlyMap<string, Tensor>,
  modulePrefix: string,
): void {
  for (const name of fixture.left()) {
    const result = name.startsWith(prefix)
      ? seen.get(`${modulePrefix}${name.slice(prefix.length)}`)
      : undefined;
    if (result !== undefined) fixture.expect(name, result);
  }
}

export function shapeOf({ shape }: Tensor): MapShape {
  const [batch, , height, width] = shape as [number, number, number, number];
  return { batch, height, width };
}

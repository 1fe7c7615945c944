import { z } from "zod";
import { gradients } from "../../src/autodiff/mod.ts";
import { buildGraph, embed, type Graph, mul, parametersOf, reduceSum, reshape } from "../../src/graph/mod.ts";
import { movqDecoderGraph, movqQuantizerGraph } from "../../src/models/mod.ts";
import type { Tensor } from "../../src/tensor/mod.ts";
import { meanAbsolute, straightThrough, VQ_WEIGHTS, vqLoss } from "../../src/train/mod.ts";
import type { Context } from "./context.ts";
import { readJsonAs } from "./folder.ts";
import { openTools, shapeOf } from "./movq.ts";

export const MOVQ_GRAD_FILE = "movq-grad.safetensors";

const schema = z.object({ beta: z.number() });

const CODES = "quantize.embedding.weight";

/** Gradients of the decoder by the mean absolute error, and of the quantiser's losses. */
export async function movqGrad(context: Context): Promise<void> {
  const fixture = context.fixture(MOVQ_GRAD_FILE);
  if (fixture?.model === undefined) return;
  const at = await openTools(context, fixture.model);
  const differentiate = (graph: Graph, loss: string, wrt: readonly string[], feeds: Feeds) =>
    at.run({ ...gradients(graph, { loss, wrt }), taps: new Map() }, feeds);

  const latents = fixture.float32("z");
  fixture.expect("output", await at.decode(latents));
  const decoder = buildGraph((builder) => {
    const { image } = embed(builder, movqDecoderGraph(at.config, shapeOf(latents)));
    return { loss: reshape(meanAbsolute(image!, builder.input("target", "float32", image!.shape)), [1]) };
  });
  const names = parametersOf(decoder).map(({ name }) => name);
  const feeds = { latents, target: fixture.float32("target") };
  const found = await differentiate(decoder, "loss", [...names, "latents"], feeds);
  fixture.expect("loss", found.get("loss")!);
  fixture.expect("grad_z", found.get("grad/latents")!);
  for (const name of names) fixture.expect(`grad/${name}`, found.get(`grad/${name}`)!);

  const vq = fixture.float32("vq/z");
  const { indices, quantized } = await at.quantize(vq);
  fixture.expect("vq/indices", indices);
  fixture.expect("vq/z_q", quantized);
  const { beta } = await readJsonAs(context.folder, "movq.json", schema);
  const quantizer = buildGraph((builder) => {
    const z = builder.input("latents", "float32", vq.shape);
    const { quantized: codes } = embed(builder, movqQuantizerGraph(at.config, shapeOf(vq)), { latents: z });
    const weighed = mul(straightThrough(z, codes!), builder.input("w", "float32", vq.shape));
    const loss = (order: keyof typeof VQ_WEIGHTS) => reshape(vqLoss(z, codes!, VQ_WEIGHTS[order](beta)), [1]);
    return {
      legacy: loss("legacy"),
      fixed: loss("fixed"),
      straight_through: reduceSum(reshape(weighed, [vq.data.length]), 0),
    };
  });
  const vqFeeds = { latents: vq, w: fixture.float32("vq/w") };
  for (const order of Object.keys(VQ_WEIGHTS)) {
    const results = await differentiate(quantizer, order, ["latents", CODES], vqFeeds);
    fixture.expect(`vq/${order}/loss`, results.get(order)!);
    fixture.expect(`vq/${order}/grad_z`, results.get("grad/latents")!);
    fixture.expect(`vq/${order}/grad_codebook`, results.get(`grad/${CODES}`)!);
  }
  const through = await differentiate(quantizer, "straight_through", ["latents"], vqFeeds);
  fixture.expect("vq/straight_through/grad_z", through.get("grad/latents")!);
}

type Feeds = Readonly<Record<string, Tensor>>;

import { conv2d, type Graph, type Node, resizeNearest, rewrite } from "../graph/mod.ts";
import type { Pass } from "./pass.ts";

/**
 * A 1x1 convolution of a nearest resize equals the resize of the convolution, which has fewer cells to
 * compute. For MoVQ it brings the convolutions of every spatial norm to latent resolution.
 */
export const convolveBeforeResize: Pass = {
  name: "convolve-before-resize",
  run: (graph) =>
    rewrite(graph, (node, inputs, { copyOf }) => {
      const resize = resizedInput(graph, node, 1);
      if (node.op !== "conv2d" || resize === undefined) return undefined;
      const source = copyOf(resize.inputs[0]!);
      return resizeNearest(conv2d(source, inputs[1]!, inputs[2], node.attributes), resize.attributes.factor);
    }),
};

function resizedInput(graph: Graph, node: Node, kernel: number): Node<"resizeNearest"> | undefined {
  if (node.op !== "conv2d") return undefined;
  const resize = graph.nodes[node.inputs[0]!]!;
  const side = graph.nodes[node.inputs[1]!]!.shape[2];
  return resize.op === "resizeNearest" && side === kernel ? resize : undefined;
}

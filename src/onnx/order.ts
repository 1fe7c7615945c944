import type { NodeProto } from "./proto.ts";

/**
 * Sorts nodes by the longest way from an input. ONNX Runtime walks back from what nobody reads, the last one in the
 * file first, and takes of a node's inputs the one that stands last in the file first. So the long way comes first,
 * and what a norm is scaled by is computed when its turn comes; otherwise the scales of all norms are computed at the
 * start and lie there. What nobody reads stands at the end, the shortest way last: a gradient is computed where the
 * walk back through the model passes, and what it is made of can go. The other way about all would be kept.
 */
export function byDepth(nodes: readonly NodeProto[]): NodeProto[] {
  const depths = new Map<string, number>();
  for (const { input, output } of nodes) {
    const depth = 1 + Math.max(0, ...input.map((name) => depths.get(name) ?? 0));
    for (const name of output) depths.set(name, depth);
  }
  const depthOf = ({ output }: NodeProto) => depths.get(output[0]!)!;
  const read = new Set(nodes.flatMap(({ input }) => input));
  const isRead = ({ output }: NodeProto) => output.some((name) => read.has(name));
  const inner = nodes.filter(isRead).sort((a, b) => depthOf(a) - depthOf(b));
  const ends = nodes.filter((node) => !isRead(node)).sort((a, b) => depthOf(b) - depthOf(a));
  return [...inner, ...ends];
}

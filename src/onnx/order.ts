import type { NodeProto } from "./proto.ts";

/**
 * Sorts nodes by the longest way from an input. ONNX Runtime walks back from the results and takes of a node's
 * inputs the one that stands last in the file first. So the long way comes first, and what a norm is scaled by is
 * computed when its turn comes; otherwise the scales of all norms are computed at the start and lie there.
 */
export function byDepth(nodes: readonly NodeProto[]): NodeProto[] {
  const depths = new Map<string, number>();
  for (const { input, output } of nodes) {
    const depth = 1 + Math.max(0, ...input.map((name) => depths.get(name) ?? 0));
    for (const name of output) depths.set(name, depth);
  }
  const depthOf = ({ output }: NodeProto) => depths.get(output[0]!)!;
  return [...nodes].sort((a, b) => depthOf(a) - depthOf(b));
}

import { gradients } from "../autodiff/mod.ts";
import type { Graph } from "../graph/mod.ts";
import {
  absorbProjections,
  channelsLast,
  convolutionProducts,
  feedParameters,
  foldConstants,
  joinViews,
  recompute,
  runPasses,
} from "../passes/mod.ts";

/**
 * A graph with the derivatives of its result `loss` by the parameters named, laid out for training: maps as rows
 * of channels, so that nearly everything is a product of matrices; text read by few queries without keys and values of
 * its own; parameters as inputs.
 */
export function trainingGraph(graph: Graph, trained: readonly string[]): Graph {
  const forward = runPasses(graph, [foldConstants, joinViews, channelsLast, absorbProjections]);
  const joint = gradients(forward, { loss: "loss", wrt: trained });
  return runPasses(joint, [convolutionProducts, joinViews, recompute("loss"), feedParameters]);
}

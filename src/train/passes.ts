import { gradients } from "../autodiff/mod.ts";
import { product } from "../base/mod.ts";
import type { Graph, ParameterShape } from "../graph/mod.ts";
import {
  absorbProjections,
  channelsLast,
  convolutionProducts,
  cutGraph,
  feedParameters,
  foldConstants,
  joinViews,
  recompute,
  runPasses,
} from "../passes/mod.ts";

/** Where the derivative by a parameter lies among the results. */
export function gradientName(parameter: string): string {
  return `grad/${parameter}`;
}

/**
 * A graph with the derivatives of its result `loss` by the parameters named, laid out for training: maps as rows
 * of channels, so that nearly everything is a product of matrices; text read by few queries without keys and values of
 * its own; parameters as inputs.
 */
export function trainingGraph(graph: Graph, trained: readonly string[]): Graph {
  return runPasses(withDerivatives(graph, trained), [feedParameters]);
}

/**
 * The same in at most `count` pieces that run one after the other, so that gradients can be sent while others are
 * computed. The first has all results but derivatives; each has about as many bytes of gradients as the others, in the
 * order in which the way back makes them.
 */
export function trainingPieces(graph: Graph, trained: readonly ParameterShape[], count: number): Graph[] {
  const names = trained.map(({ name }) => name);
  if (count === 1) return [trainingGraph(graph, names)];
  const whole = withDerivatives(graph, names);
  const placeOf = (name: string) => whole.outputs.get(gradientName(name))!;
  const sizes = new Map(trained.map(({ name, shape }) => [name, product(shape)]));
  const total = [...sizes.values()].reduce((a, b) => a + b, 0);
  const groups: string[][] = [[...graph.outputs.keys()]];
  let made = 0;
  for (const name of names.toSorted((a, b) => placeOf(a) - placeOf(b))) {
    if (made * count >= total * groups.length) groups.push([]);
    groups.at(-1)!.push(gradientName(name));
    made += sizes.get(name)!;
  }
  return cutGraph(whole, groups).map((piece) => runPasses(piece, [feedParameters]));
}

function withDerivatives(graph: Graph, trained: readonly string[]): Graph {
  const forward = runPasses(graph, [foldConstants, joinViews, channelsLast, absorbProjections]);
  const joint = gradients(forward, { loss: "loss", wrt: trained });
  return runPasses(joint, [convolutionProducts, joinViews, recompute("loss")]);
}

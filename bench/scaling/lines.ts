import { median } from "../measure.ts";
import type { Expectation, Scaling } from "./measure.ts";

/** What a person reads of the group `scaling`. */
export function scalingLines({
  step,
  bucketBytes,
  allreduce,
  together,
  absent,
  expected,
}: Scaling): string[] {
  const measured = [
    "Scaling to many nodes",
    `  measured here: training step, ${step.name}: ${s(median(step.seconds))} (deviation ${percent(step.deviation)}), ${mb(step.gradientBytes)} of gradients in buckets of ${mb(bucketBytes)}`,
  ];
  if (allreduce === undefined || together === undefined)
    return [...measured, `  no sums of two processes: ${absent}`];
  const { library, samples, link, worstMisfit } = allreduce;
  return [
    ...measured,
    `  measured here: sums of two processes in shared memory, ${library}: ${samples.map(({ bytes, seconds }) => `${mb(bytes)} ${s(seconds)}`).join(", ")}`,
    `    fitted: ${(1e6 * link.alpha).toPrecision(3)} us a message, ${(1e9 * link.beta).toPrecision(3)} ns a byte; worst misfit ${percent(worstMisfit)}`,
    `    a step of two with naps for its computation: ${s(allreduce.stepSeconds)}, by the model ${s(allreduce.expectedStepSeconds)}`,
    `  measured here: a step of two processes, half of the batch each: ${s(median(together.plain))}; where the sums of gradients take ${together.milliseconds} ms longer: ${s(median(together.slowed))}, ${grown(together)} more`,
    "  assumed: the wires below, on top of what a message and a byte took here; backward pass twice the forward pass;",
    "    independent normal deviations of the nodes' steps; the full U-Net at the rate of the step measured here",
    "  expected efficiency, gradients sent during the backward pass (after it)",
    ...workloadTables(expected),
  ];
}

function workloadTables(expected: readonly Expectation[]): string[] {
  return [...new Set(expected.map(({ workload }) => workload))].flatMap((workload) => {
    const columns = expected.filter((one) => one.workload === workload);
    const counts = columns[0]!.nodes.map(({ nodes }) => nodes);
    return [
      `  ${workload}: ${s(columns[0]!.nodes[0]!.seconds)} on one node`,
      `    ${"nodes".padStart(5)}  ${columns.map(({ link }) => link.padEnd(21)).join(" ")}`.trimEnd(),
      ...counts.map((count, i) => {
        const cells = columns.map(({ nodes }) => {
          const { efficiency, efficiencyAfter } = nodes[i]!;
          return `${percent(efficiency)} (${percent(efficiencyAfter)})`.padEnd(21);
        });
        return `    ${String(count).padStart(5)}  ${cells.join(" ")}`.trimEnd();
      }),
    ];
  });
}

/** In milliseconds: steps beside each other are compared, since the machine's speed changes. */
function grown({ plain, slowed }: NonNullable<Scaling["together"]>): string {
  return `${(1000 * median(slowed.map((seconds, i) => seconds - plain[i]!))).toFixed(0)} ms`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function mb(bytes: number): string {
  return bytes < 1e5 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toPrecision(3)} MB`;
}

function s(seconds: number): string {
  return seconds < 0.01 ? `${(1e3 * seconds).toPrecision(3)} ms` : `${seconds.toPrecision(3)} s`;
}

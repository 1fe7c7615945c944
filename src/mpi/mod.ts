export { type Bucket, type BucketPart, type GradientSize, planBuckets } from "./buckets.ts";
export type { Communicator } from "./communicator.ts";
export { type GradientExchange, gradientExchange } from "./exchange.ts";
export { openMpi } from "./open.node.ts";
export { soloCommunicator } from "./solo.ts";

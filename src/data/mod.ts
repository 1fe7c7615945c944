export {
  type Bucket,
  type BucketOptions,
  checkBuckets,
  type Fit,
  fitBucket,
  makeBuckets,
} from "./buckets.ts";
export { latentKey, openTensorCache, removeStaleCaches, type TensorCache, textKey } from "./cache.node.ts";
export {
  type Dataset,
  type DatasetOptions,
  type KnownSample,
  openDataset,
  type Skipped,
} from "./dataset.node.ts";
export { listSamples } from "./folder.node.ts";
export { type Cursor, type PlannedBatch, type PlanOptions, planEpoch, type Rank, rowsOf } from "./plan.ts";
export { type MakeJob, openWorkerPool, type WorkerPool } from "./pool.node.ts";
export { type Prefetched, prefetch, type Waiting } from "./prefetch.ts";
export { readStretch } from "./read.node.ts";
export type { Sample, Stretch } from "./sample.ts";
export { type Batch, type BatchStream, openStream, type StreamOptions } from "./stream.node.ts";
export {
  CAPTION_POLICIES,
  type CaptionPolicy,
  EVEN_WEIGHTS,
  parseTexts,
  pickText,
  type TextChoice,
  type TextWeights,
} from "./texts.ts";
export { type WrittenSample, writeShard } from "./write.node.ts";

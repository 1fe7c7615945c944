export { COLOR_SPACES, type ColorSpace, colorDistance, matchColors } from "./color.ts";
export { type DeepPicture, distancesOf } from "./depth.ts";
export { MOTION_FIELDS, MOTION_NAMES, type MotionField, type MotionSchedules } from "./fields.ts";
export { blendAlongFlow, blendLinear, type Flow, opticalFlow } from "./flow.ts";
export { colorDrift, meanDifference, measuredScale, movedDifference } from "./measure.ts";
export {
  type AnimationPlan,
  type FrameTask,
  filmFrame,
  frameTask,
  holdColors,
  mapOf,
  moveOn,
  planAnimation,
} from "./plan.ts";
export {
  type CameraPlan,
  CONFIG_PRESETS,
  type ConfigPreset,
  configPreset,
  SEGMENT_PRESETS,
  type Segment,
  segmentCamera,
} from "./presets.ts";
export { type PromptKey, type PromptMix, parsePrompts, promptAt } from "./prompts.ts";
export {
  BLENDS,
  type Blend,
  type MotionRequest,
  type MotionSettings,
  motionRequest,
  resolveMotion,
} from "./request.ts";
export { parseSchedule, type ScheduleContext } from "./schedule.ts";
export { SEED_BEHAVIORS, type SeedBehavior } from "./seeds.ts";
export { type DeforumSettings, readDeforumSettings } from "./settings.ts";
export { BORDER_NAMES, type Border, warpPicture } from "./warp.ts";
export {
  EASING_NAMES,
  type Easing,
  surround,
  type ZoomCourse,
  zoomPlaces,
  zoomView,
} from "./zoom.ts";

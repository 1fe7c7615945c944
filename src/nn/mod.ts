export {
  affineGroupNorm,
  affineLayerNorm,
  affineRmsNorm,
  channelLinear,
  channelsOf,
  conv,
  doubleMap,
  halveMap,
  linear,
  NO_PADDING,
  perChannel,
} from "./layers.ts";
export { Scope } from "./scope.ts";

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
  unitRows,
} from "./layers.ts";
export { Scope } from "./scope.ts";

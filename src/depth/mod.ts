export { type DepthNetwork, openDepth } from "./network.node.ts";

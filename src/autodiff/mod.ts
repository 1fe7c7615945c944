export { type GradientRequest, gradients } from "./gradients.ts";
export { RULES } from "./rules.ts";

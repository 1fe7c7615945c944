export { detectGraphics, type GraphicsProtocol } from "./detect.ts";
export { type InlineOptions, renderInline } from "./render.ts";

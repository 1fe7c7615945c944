import type { Picture } from "../../../src/image/mod.ts";
import type { Context } from "../context.ts";
import { detectGraphics, type GraphicsProtocol, renderInline } from "../terminal/mod.ts";

/** Shows pictures in the terminal, where it can. */
export interface Inline {
  readonly protocol: GraphicsProtocol;
  /** Escape codes that draw the picture, and the lines it takes. */
  readonly draw: (picture: Picture) => Promise<{ readonly text: string; readonly lines: number }>;
}

const COLUMNS = 40;

/** What the terminal behind standard error can show; nothing where the user wants no pictures. */
export function inlineOf({ env, stderr }: Context, wanted: boolean): Inline | undefined {
  const protocol = wanted ? detectGraphics(env, stderr.isTTY === true) : "none";
  if (protocol === "none") return undefined;
  const columns = Math.min(COLUMNS, Math.max(1, (stderr.columns ?? COLUMNS) - 1));
  return {
    protocol,
    draw: async (picture) => ({
      text: await renderInline(picture, protocol, { columns }),
      // A cell is about twice as high as wide.
      lines: Math.ceil((columns * Math.min(1, picture.height / picture.width)) / 2) + 1,
    }),
  };
}

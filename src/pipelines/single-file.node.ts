import { stat } from "node:fs/promises";
import { KandinskyError } from "../base/mod.ts";
import { readCheckpoint } from "../checkpoint/mod.ts";

/** Shape of the first convolution of KandiSuperRes: a picture and its enlarged smaller one in, 128 channels. */
const SUPER_RESOLUTION_INPUT = "128,6,3,3";

/**
 * Says of a checkpoint in one file, which is not a model folder, what it is and what to do. Returns where the path is
 * none. Throws `model_family`, and as `readCheckpoint` for files that are no checkpoints.
 */
export async function refuseSingleFile(path: string): Promise<void> {
  if (!(await stat(path).catch(() => undefined))?.isFile()) return;
  const entries = await readCheckpoint(path);
  const isSuperResolution = entries.some(({ shape }) => shape.join() === SUPER_RESOLUTION_INPUT);
  throw new KandinskyError("model_family", {
    what: "cannot open the model",
    where: path,
    seen: isSuperResolution ? "a KandiSuperRes checkpoint" : "a checkpoint in one file",
    wanted: "a model folder",
    hint: isSuperResolution
      ? "its network is not built here: leave --model out, and pictures are enlarged by the model that draws"
      : "make a folder of it with `kandinsky convert`",
  });
}

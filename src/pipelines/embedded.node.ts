import { access } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Operation } from "./request.ts";

/** Where the models are that come with the package. */
const MODELS = fileURLToPath(new URL("../../../models", import.meta.url));

const [NANO, NANO_INPAINT] = ["nano", "nano-inpaint"];

/** The model that comes with the package. */
export const EMBEDDED_MODEL = join(MODELS, NANO);

/** Operations with models of their own. */
const MADE_FOR: Readonly<Partial<Record<Operation, string>>> = {
  inpaint: NANO_INPAINT,
  extend: NANO_INPAINT,
};

/**
 * The folder of the model that an operation is drawn with where nobody names one: the one made for it where the package
 * has it, else the one that draws everything. `models` holds them, by name.
 */
export async function embeddedModelFor(operation: Operation, models = MODELS): Promise<string> {
  return embeddedModelNamed(MADE_FOR[operation] ?? NANO, models);
}

/** The folder of an embedded model by its name; that of nano where no other has this name. */
export async function embeddedModelNamed(name: string, models = MODELS): Promise<string> {
  const folder = join(models, name);
  const isThere = name === NANO_INPAINT && (await exists(join(folder, "model_index.json")));
  return isThere ? folder : join(models, NANO);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

import { KandinskyError } from "../base/mod.ts";

const WANTED = "Kandinsky 3 in the diffusers layout (model_index.json with Kandinsky3Pipeline)";
/** Also the image-to-image class and the names of the forks that came before diffusers 0.25. */
const KANDINSKY_3_PIPELINE = /^Kandi(nsky)?V?3\w*Pipeline$/;
const KANDINSKY_3_PART = /^(Kandinsky3UNet|UNetKandi3|VQModel|T5EncoderModel)$/;

/** Throws `model_family`, with the family's name, unless a model_index.json is of Kandinsky 3. */
export function checkPipelineClass(className: unknown, where: string): void {
  if (typeof className === "string" && KANDINSKY_3_PIPELINE.test(className)) return;
  throw new KandinskyError("model_family", {
    what: "this model is of another family",
    where,
    seen: typeof className === "string" ? `${className} (${familyOf(className)})` : "no _class_name",
    wanted: WANTED,
  });
}

/** The error for a folder with a config.json but no model_index.json: a part, or a model of another kind. */
export function lonePartError(config: ReadonlyMap<string, unknown>, folder: string): KandinskyError {
  const architectures = config.get("architectures");
  const className =
    config.get("_class_name") ?? (Array.isArray(architectures) ? architectures[0] : undefined);
  if (typeof className === "string" && KANDINSKY_3_PART.test(className)) {
    return new KandinskyError("model_missing", {
      what: "this is one part of a model",
      where: folder,
      seen: className,
      wanted: WANTED,
      hint: "name the folder above it",
    });
  }
  return new KandinskyError("model_family", {
    what: "this model is of another family",
    where: folder,
    seen: `${String(className ?? config.get("model_type") ?? "an unknown config.json")}, no model_index.json`,
    wanted: WANTED,
  });
}

/** "StableDiffusionXLPipeline" reads "Stable Diffusion XL". */
function familyOf(className: string): string {
  const words = className.replace(/(Img2Img|Inpaint|ControlNet)*Pipeline$/, "");
  return words.replace(/([a-z\d])([A-Z])/g, "$1 $2");
}

import {
  drawCaption,
  type Masters,
  NANO_CAPTIONS,
  type SceneSpec,
  type Subject,
  subjectAlpha,
} from "../scenes/mod.ts";
import type { ShownObject } from "./holes.ts";

/** What a scene is drawn from, and how large. */
interface Drawn {
  readonly masters: Masters;
  readonly subjects: ReadonlyMap<string, Subject>;
  readonly width: number;
  readonly height: number;
}

/** The subjects of a scene, each with its shape and with the captions of a scene that shows it alone; `id` names it. */
export function sceneObjects(spec: SceneSpec, id: string, drawn: Drawn): ShownObject[] {
  const { masters, subjects, width, height } = drawn;
  return spec.subjects.map((placed, i) => {
    const alone: SceneSpec = { ...spec, kind: "single", subjects: [placed], relation: undefined, count: 1 };
    return {
      shape: { id: `${id}.${i}`, width, height, data: subjectAlpha(spec, placed, masters, width, height) },
      caption: (key) => drawCaption(key, alone, subjects, NANO_CAPTIONS).text,
    };
  });
}

export { BACKGROUNDS, type Background, COLOURED } from "./backgrounds.ts";
export {
  CAPTION_KINDS,
  type Caption,
  type CaptionKind,
  type CaptionOptions,
  captionsOf,
  drawCaption,
  NANO_CAPTIONS,
  promptOf,
} from "./captions.ts";
export { composeScene, MASTER_SIDE, type Masters, subjectAlpha } from "./compose.ts";
export { ALL_LANGUAGES, HELD_OUT_LANGUAGE, LANGUAGES, type Language } from "./languages.ts";
export { type MastersRequest, openMasters } from "./masters.node.ts";
export { readMasterSheet } from "./sheet.node.ts";
export {
  ARRANGEMENTS,
  aloneSpec,
  drawSpec,
  isHeldOutBackground,
  isHeldOutPair,
  NANO_SCENES,
  type Placed,
  RELATIONS,
  type Relation,
  type SceneKind,
  type SceneOptions,
  type SceneSpec,
  SPLITS,
  type Split,
  squareAt,
  TOWARDS,
} from "./spec.ts";
export {
  openSceneStream,
  type SceneBatch,
  type SceneStream,
  type SceneStreamOptions,
} from "./stream.node.ts";
export { isStyle, STYLES, type Style, type StyleName } from "./styles.ts";
export { readSeedCodes, readSubjects, SCENES_CACHE, SUBJECTS_FILE } from "./subjects.node.ts";
export { type Forms, listedSubjects, namesOf, parseSubjects, type Subject } from "./subjects.ts";
export { type ScenesRequest, writeScenes } from "./write.node.ts";

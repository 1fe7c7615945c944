export { backgroundOf, colourGap, type FoundBackground } from "./background.ts";
export { colourDistance, FEATURE_SIDE, type Features, featuresOf, nearestFeatures } from "./features.ts";
export { type GridFigures, gridFigures, isStraightGrid, STRAIGHT } from "./grid.ts";
export { judge, type Verdict } from "./judge.ts";
export {
  type Answered,
  GROUPS,
  type Group,
  type Question,
  type QuestionOptions,
  questionsOf,
  type Summary,
  summarise,
} from "./questions.ts";
export { amongOthers, type Rate, rateOf } from "./rate.ts";
export {
  countOf,
  type References,
  rankOf,
  rankSubjects,
  relationOf,
  type SubjectBook,
  subjectBook,
} from "./references.ts";

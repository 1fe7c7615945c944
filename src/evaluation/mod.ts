export { backgroundOf, colourGap, type FoundBackground } from "./background.ts";
export { type Classifier, JUDGE_FOLDER, openClassifier } from "./classifier.node.ts";
export { type EvaluationEvent, type EvaluationRequest, evaluateModel } from "./evaluate.node.ts";
export { colourDistance, FEATURE_SIDE, type Features, featuresOf, nearestFeatures } from "./features.ts";
export { type GridFigures, gridFigures, isStraightGrid, STRAIGHT } from "./grid.ts";
export { judge, type Others, type Ranks, ranksOf, type Told, type Verdict } from "./judge.ts";
export { type LikenessBook, likenessBook, rankByLikeness } from "./likeness.ts";
export { modelSubjects, spreadOver } from "./model-subjects.ts";
export type { PageLanguage } from "./page-words.ts";
export {
  type Answered,
  EVALUATION_ROOT,
  GROUPS,
  type Group,
  type Question,
  type QuestionOptions,
  questionsOf,
  type Retrieval,
  type Summary,
  summarise,
} from "./questions.ts";
export { amongOthers, type Rate, rateOf } from "./rate.ts";
export {
  countOf,
  type Ranking,
  type References,
  rankOf,
  rankSubjects,
  relationOf,
  type SubjectBook,
  subjectBook,
} from "./references.ts";
export type {
  GridMedians,
  JudgeFigures,
  PictureFigures,
  Quantiles,
  RankCurve,
  Report,
  SubjectFigures,
} from "./report.ts";

/**
 * How a part's weights are kept while it runs: `float32` prepared and widened on the disk, the fastest; `stored` in
 * the type of the model's files, prepared too, and widened at each use: the same values in fewer bytes; `int8` and
 * `int4` rounded in blocks where layers have weights enough, and as float32 elsewhere.
 */
export type Precision = "float32" | "stored" | "int8" | "int4";

/** The networks of a model. */
export type PartName = "text_encoder" | "unet" | "movq";

/** One way to run a stage, and what it takes in bytes. */
export interface Form {
  readonly precision: Precision;
  /** The type of the values in the files that are mapped. */
  readonly dtype: string;
  /** Weights mapped from files. The system takes their pages back where it needs them and reads them again. */
  readonly weightBytes: number;
  /** Memory of its own while the stage runs, ... */
  readonly privateBytes: number;
  /** ... and while its programs only stay loaded. */
  readonly idleBytes: number;
}

/** What a stage needs: the planner's input. */
export interface StageNeed<Stage extends string = string> {
  readonly stage: Stage;
  readonly part: PartName;
  /** How often all its weights are read for one picture. */
  readonly passes: number;
  /** Whether its programs can stay loaded while other stages run, for the next picture. */
  readonly stays: boolean;
  /** The most wanted first; those of one part in the same order of precisions. */
  readonly forms: readonly Form[];
}

/** A stage as it will run. */
export interface PlannedStage<Stage extends string = string> extends Form {
  readonly stage: Stage;
  readonly part: PartName;
  /** Stages whose programs stay loaded meanwhile. */
  readonly beside: readonly Stage[];
  /** Memory of its own of all processes while it runs. */
  readonly expectedBytes: number;
  /** The weights do not fit beside it: each pass reads them from the disk again. */
  readonly rereads: boolean;
}

/** How a job runs within a budget. */
export interface Plan<Stage extends string = string> {
  readonly budgetBytes: number;
  /** In the order in which they run. */
  readonly stages: readonly PlannedStage<Stage>[];
  /** Whether programs stay loaded for the next pictures, or each makes room for the next stage. */
  readonly keepsLoaded: boolean;
  /** The most of `expectedBytes`. */
  readonly expectedBytes: number;
}

/** Why there is no plan: the stage that needs most, in its smallest form. */
export interface Shortage {
  readonly stage: string;
  readonly neededBytes: number;
}

/** What there is: `baseBytes` is what the processes take without any stage. */
export interface Budget {
  readonly bytes: number;
  readonly baseBytes: number;
}

/**
 * Chooses for every part the most wanted precision whose weights, if they are read again and again, fit into the
 * budget beside the memory of the stage; where none does, the one with the fewest bytes to read again. Then keeps
 * programs loaded for the next picture where all of it fits together. Pure: sizes in, plan out.
 */
export function planStages<Stage extends string>(
  needs: readonly StageNeed<Stage>[],
  budget: Budget,
): Plan<Stage> | Shortage {
  const chosen = needs.map((need) => ({ need, form: formOf(need, needs, budget) }));
  const apart = layOut(chosen, budget, false);
  const together = layOut(chosen, budget, true);
  // Where weights are read again, whatever stays loaded takes room from them.
  const keepsLoaded = together.every(
    ({ expectedBytes, rereads }) => expectedBytes <= budget.bytes && !rereads,
  );
  const stages = keepsLoaded ? together : apart;
  const { stage, expectedBytes } = stages.reduce((a, b) => (b.expectedBytes > a.expectedBytes ? b : a));
  if (expectedBytes > budget.bytes) return { stage, neededBytes: expectedBytes };
  return { budgetBytes: budget.bytes, stages, keepsLoaded, expectedBytes };
}

/** Share of the budget that is counted on where weights are to stay in memory: the system needs some pages too. */
const USABLE = 0.95;

/** The form of a stage: all stages of a part have the precision of the one that reads its weights most often. */
function formOf(need: StageNeed, needs: readonly StageNeed[], { bytes, baseBytes }: Budget): Form {
  const siblings = needs.filter(({ part }) => part === need.part);
  const leader = siblings.reduce((a, b) => (b.passes > a.passes ? b : a));
  // Weights that are read once may be read past the rest.
  const room = (form: Form) =>
    bytes * USABLE - baseBytes - form.privateBytes - (leader.passes > 1 ? form.weightBytes : 0);
  const smallest = leader.forms.reduce((a, b) => (room(b) > room(a) ? b : a));
  const { precision } = leader.forms.find((form) => room(form) >= 0) ?? smallest;
  return need.forms.find((form) => form.precision === precision) ?? need.forms[0]!;
}

interface Chosen<Stage extends string> {
  readonly need: StageNeed<Stage>;
  readonly form: Form;
}

function layOut<Stage extends string>(
  chosen: readonly Chosen<Stage>[],
  budget: Budget,
  keepsLoaded: boolean,
): PlannedStage<Stage>[] {
  return chosen.map(({ need, form }) => {
    const { stage, part, passes } = need;
    const others = chosen.filter((other) => keepsLoaded && other.need !== need && other.need.stays);
    const idle = others.reduce((sum, other) => sum + other.form.idleBytes, 0);
    const expectedBytes = budget.baseBytes + form.privateBytes + idle;
    return {
      stage,
      part,
      ...form,
      beside: others.map((other) => other.need.stage),
      expectedBytes,
      rereads: passes > 1 && expectedBytes + form.weightBytes > USABLE * budget.bytes,
    };
  });
}

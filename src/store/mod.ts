export { type AddPlan, type AddRequest, addLocal, addPlanned, planAdd } from "./add.node.ts";
export {
  collectGarbage,
  findGarbage,
  planRemoval,
  type Removal,
  type Rubbish,
  removeModel,
} from "./clean.node.ts";
export type { Licence } from "./licence.ts";
export { withLock } from "./lock.node.ts";
export {
  findModel,
  type HubPlace,
  listModels,
  modelPath,
  requireModel,
  resolveModel,
  type StoredModel,
} from "./models.node.ts";
export { isRepository, type RemoteFile } from "./names.ts";
export { readSettings, type StoreSettings } from "./settings.node.ts";
export { type Damage, repairModel, type Verification, verifyModel } from "./verify.node.ts";
export { openStore, type Store, type StoreEvent } from "./world.node.ts";

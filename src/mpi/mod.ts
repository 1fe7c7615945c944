export type { Communicator } from "./communicator.ts";
export { type Launched, launchedBy } from "./library.ts";
export { openMpi } from "./open.node.ts";
export { serve } from "./serve.node.ts";
export { soloCommunicator } from "./solo.ts";
export { default as openMpiThread, mpiModule } from "./thread.node.ts";

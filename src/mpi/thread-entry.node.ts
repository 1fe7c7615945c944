/** The thread that `openMpiThread` starts: it alone calls MPI. */
import { parentPort } from "node:worker_threads";
import { openMpi } from "./open.node.ts";
import { serve } from "./serve.node.ts";

await serve(parentPort!, openMpi);

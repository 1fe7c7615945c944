import { env, stdout } from "node:process";
import { addPlanned, planAdd } from "./add.node.ts";
import { openStore } from "./world.node.ts";

/** A process that adds the repository named in its environment, in small parts: tests end it at some moment. */
const store = await openStore(env, { partBytes: 64 * 1024 });
stdout.write("begun\n");
await addPlanned(store, await planAdd(store, { repository: env["TEST_REPOSITORY"]! }));
stdout.write("done\n");

import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { addPlanned, planAdd } from "./add.node.ts";
import { findGarbage } from "./clean.node.ts";
import { requireModel } from "./models.node.ts";
import { REPOSITORY, startHub, storeFor } from "./test-support.ts";
import { verifyModel } from "./verify.node.ts";

const world = vi.hoisted(() => ({
  hardLinks: true,
  deny: async () => {
    throw Object.assign(new Error("not for you"), { code: "EPERM" });
  },
}));

/** A system whose users may make no symbolic links, as Windows is by default, or no links at all. */
vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  return {
    ...real,
    symlink: world.deny,
    link: (from: string, to: string) => (world.hardLinks ? real.link(from, to) : world.deny()),
  };
});

test.each([true, false])("addPlanned manages without symbolic links, hard links: %s", async (hardLinks) => {
  world.hardLinks = hardLinks;
  const hub = await startHub();
  const store = await storeFor(hub);
  const model = await addPlanned(store, await planAdd(store, { repository: REPOSITORY }));
  expect(lstatSync(join(model.path, "unet/config.json")).isFile()).toBe(true);
  expect((await requireModel(store, "kandinsky-3")).state).toBe("ready");
  expect((await verifyModel(store, model)).damages).toEqual([]);
  const before = hub.sent();
  const plan = await planAdd(store, { repository: REPOSITORY });
  expect(plan.missingBytes).toBe(0);
  await addPlanned(store, plan);
  expect(hub.sent() - before).toBe(hub.files.get("model_index.json")!.length);
  expect(await findGarbage(store)).toEqual([]);
  expect(readdirSync(join(model.path, "../../blobs")).length > 0).toBe(hardLinks);
});

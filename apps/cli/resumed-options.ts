import type { Command } from "commander";
import { KandinskyError } from "../../src/base/mod.ts";

/** Options that go with --resume everywhere; the others are settled by what was begun. */
const WITH_RESUME = ["resume", "json", "cache", "model", "device", "threads", "memory"] as const;

/** Throws `option_invalid` where a stopped run is to go on as something else; `also` names further options that may. */
export function checkResumed(command: Command, also: readonly string[] = []): void {
  const allowed: ReadonlySet<string> = new Set([...WITH_RESUME, ...also]);
  const other = givenOption(command, (name) => !allowed.has(name));
  if (other === undefined && command.args.length === 0) return;
  throw new KandinskyError("option_invalid", {
    what: "a stopped run goes on as it was begun",
    where: other ?? "PROMPT",
    hint: "leave it out, or begin anew without --resume",
  });
}

/** The first option of those that the command line names, as it is written there. */
export function givenOption(command: Command, isWanted: (name: string) => boolean): string | undefined {
  return command.options.find((option) => {
    const name = option.attributeName();
    return command.getOptionValueSource(name) === "cli" && isWanted(name);
  })?.long;
}

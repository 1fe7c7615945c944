import { KandinskyError } from "../base/mod.ts";

/** Code and message of the failure of `run`. */
export function failure(run: () => unknown): { code: string; message: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof KandinskyError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("did not fail");
}

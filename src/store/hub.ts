import { KandinskyError } from "../base/mod.ts";
import { type Licence, licenceOf } from "./licence.ts";
import { checkPath, isBlobName, isCommit, type RemoteFile } from "./names.ts";
import { ask, delayOf, lostBody, pause, stopped, TRIES } from "./requests.ts";
import type { Store } from "./world.node.ts";

/** A repository at one commit. */
export interface RemoteModel {
  readonly repository: string;
  readonly commit: string;
  readonly licence: Licence;
  readonly files: readonly RemoteFile[];
}

/**
 * Commit, licence and files of a repository at a revision, asked through the hub's own library. Throws as `ask`
 * does, `source_corrupt` for answers that no hub gives, `file_escapes` for paths out of the folder.
 */
export async function describeRepository(
  store: Store,
  repository: string,
  revision: string,
): Promise<RemoteModel> {
  // Loaded here: it is large, and most commands need nothing of it.
  const hub = await import("@huggingface/hub");
  const common = { hubUrl: store.settings.endpoint, fetch: fetchThrough(store, repository) };
  try {
    const info = await hub.modelInfo({
      name: repository,
      revision,
      additionalFields: ["sha", "cardData"],
      ...common,
    });
    const commit = String(info.sha);
    if (!isCommit(commit)) throw notAHub(repository, `the commit ${JSON.stringify(info.sha)}`);
    const files: RemoteFile[] = [];
    for await (const entry of hub.listFiles({
      repo: repository,
      revision: commit,
      recursive: true,
      ...common,
    })) {
      if (entry.type !== "file") continue;
      const { path, size } = entry;
      const oid = String(entry.lfs?.oid ?? entry.oid);
      checkPath(path, repository);
      if (!isBlobName(oid) || !Number.isSafeInteger(size) || size < 0)
        throw notAHub(repository, `the file ${JSON.stringify(path)} without size or hash`);
      files.push({ path, size, oid });
    }
    return { repository, commit, licence: licenceOf(info.cardData), files };
  } catch (cause) {
    if (cause instanceof KandinskyError) throw cause;
    throw notAHub(repository, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

/** Address of a file at a commit. */
export function fileUrl(store: Store, repository: string, commit: string, path: string): string {
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  return `${store.settings.endpoint}/${repository}/resolve/${commit}/${encoded}`;
}

/** A `fetch` for the library that asks as we do; bodies are small, so a cut in one is a cut of the question. */
function fetchThrough(store: Store, where: string): typeof fetch {
  return async (input) => {
    const url = input instanceof Request ? input.url : String(input);
    for (let attempt = 1; ; attempt++) {
      const response = await ask(
        store,
        { url, where, headers: { accept: "application/json" } },
        store.signal,
      );
      try {
        return new Response(await response.arrayBuffer(), response);
      } catch (cause) {
        if (store.signal.aborted) throw stopped(cause);
        const error = lostBody(where, cause);
        if (attempt >= TRIES) throw error;
        await pause(store, delayOf(attempt), error.parts.seen ?? "", store.signal);
      }
    }
  };
}

function notAHub(where: string, seen: string, cause?: unknown): KandinskyError {
  return new KandinskyError(
    "source_corrupt",
    {
      what: "the hub's answer makes no sense",
      where,
      seen,
      hint: "check HF_ENDPOINT, or what lies between: a login page?",
    },
    { cause },
  );
}

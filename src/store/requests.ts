import { KandinskyError } from "../base/mod.ts";
import type { Store } from "./world.node.ts";

/** Tries without progress before a connection is given up. */
export const TRIES = 6;
const MAX_REDIRECTS = 5;
/** A hub that wants more patience than this is not waited for. */
const MAX_WAIT_SECONDS = 300;
const BUSY_STATUSES = new Set([408, 425, 429, 500, 502, 503, 504]);

/** What is asked of the hub, for messages and for who may hear the token. */
export interface Question {
  readonly url: string;
  /** Repository, or repository and file. */
  readonly where: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * The hub's good answer to a question, its body not yet read. What passes by itself (no connection, a busy hub)
 * is tried again, longer each time or as long as the hub says. The token is told to the hub's own address only,
 * wherever redirects lead. Throws `source_unreachable`, `source_refused`, `source_missing` or `cancelled`.
 */
export async function ask(store: Store, question: Question, signal: AbortSignal): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    const outcome = await follow(store, question, signal).catch((cause: unknown) =>
      lost(store, question, cause, signal),
    );
    if (outcome instanceof Response && outcome.ok) return outcome;
    const seconds = outcome instanceof Response ? waitOf(outcome, attempt, store.now()) : delayOf(attempt);
    if (outcome instanceof Response && !BUSY_STATUSES.has(outcome.status))
      throw await refusal(store, question, outcome);
    const error = outcome instanceof Response ? busy(question, outcome, seconds) : outcome;
    if (attempt >= TRIES || seconds > MAX_WAIT_SECONDS) throw error;
    if (outcome instanceof Response) await outcome.body?.cancel();
    await pause(store, seconds, error.parts.seen ?? error.parts.what, signal);
  }
}

/** Waits before another try, and says so; throws `cancelled`. */
export async function pause(
  store: Store,
  seconds: number,
  reason: string,
  signal: AbortSignal,
): Promise<void> {
  store.onEvent({ type: "wait", seconds, reason });
  await store.wait(seconds * 1000, signal).catch((cause: unknown) => {
    throw signal.aborted ? stopped(cause) : cause;
  });
}

/** Seconds before the next try after so many: 1, 2, 4, ... */
export function delayOf(attempt: number): number {
  return 2 ** (attempt - 1);
}

/** The error of work that the user ended. */
export function stopped(cause?: unknown): KandinskyError {
  return new KandinskyError(
    "cancelled",
    { what: "stopped; what came is kept", hint: "run the command again: it goes on where it was" },
    { cause },
  );
}

async function follow(store: Store, question: Question, signal: AbortSignal): Promise<Response> {
  const { endpoint, token } = store.settings;
  let url = new URL(question.url);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const own = url.origin === new URL(endpoint).origin;
    const authorization: Record<string, string> =
      own && token !== undefined ? { authorization: `Bearer ${token}` } : {};
    const headers = { "user-agent": "kandinsky", "accept-encoding": "identity", ...question.headers };
    const response = await impatient(
      store,
      store.fetch(url.href, { headers: { ...headers, ...authorization }, redirect: "manual", signal }),
    );
    const location = response.headers.get("location");
    if (response.status < 300 || response.status >= 400 || location === null) return response;
    await response.body?.cancel();
    url = redirected(url, location, question.where);
  }
  throw new KandinskyError("source_unreachable", {
    what: "the hub sends from one address to the next without end",
    where: question.where,
    hint: "try again later",
  });
}

/** Gives up an answer that does not begin in time; how long it then takes is not limited. */
async function impatient(store: Store, answer: Promise<Response>): Promise<Response> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Stall()), store.stallMilliseconds);
  });
  try {
    return await Promise.race([answer, late]);
  } catch (error) {
    void answer.then((response) => response.body?.cancel()).catch(() => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function redirected(from: URL, location: string, where: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  const isSafe = to?.protocol === "https:" || (to?.protocol === "http:" && from.protocol === "http:");
  if (to !== undefined && isSafe) return to;
  throw new KandinskyError("source_unreachable", {
    what: "the hub sends to an address that is not safe",
    where,
    seen: to === undefined ? "no address" : to.protocol,
    wanted: "https",
    hint: "check HF_ENDPOINT",
  });
}

function lost(store: Store, { where }: Question, cause: unknown, signal: AbortSignal): KandinskyError {
  if (cause instanceof KandinskyError) throw cause;
  if (store.signal.aborted) throw stopped(cause);
  if (signal.aborted) throw cause;
  return new KandinskyError(
    "source_unreachable",
    {
      what: "cannot reach the hub",
      where,
      seen: `${store.settings.endpoint}: ${reasonOf(cause)}`,
      hint: "check the network and HF_ENDPOINT, then run the command again: it goes on where it was",
    },
    { cause },
  );
}

/** Why a connection brought nothing for too long. */
export class Stall extends Error {
  constructor() {
    super("nothing came for too long");
  }
}

/** The reason of a failed `fetch`, which hides it in a chain of causes. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  const inner = error instanceof AggregateError ? error.errors[0] : error.cause;
  return code ?? (inner === undefined ? error.message : reasonOf(inner));
}

function waitOf(response: Response, attempt: number, now: Date): number {
  const said = response.headers.get("retry-after");
  if (said === null) return delayOf(attempt);
  const seconds = /^\d+$/.test(said.trim()) ? Number(said) : (Date.parse(said) - now.getTime()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : delayOf(attempt);
}

function busy({ where }: Question, { status }: Response, seconds: number): KandinskyError {
  return new KandinskyError("source_unreachable", {
    what: "the hub is busy",
    where,
    seen: status === 429 ? "429, too many requests" : `${status}`,
    hint:
      seconds > MAX_WAIT_SECONDS
        ? `it asks to wait ${seconds} seconds: run the command again then, it goes on where it was`
        : "run the command again later: it goes on where it was",
  });
}

async function refusal(store: Store, { where, url }: Question, response: Response): Promise<KandinskyError> {
  const { status, headers } = response;
  const code = headers.get("x-error-code") ?? "";
  await response.body?.cancel();
  const { endpoint, token } = store.settings;
  const repository = where.split("/").slice(0, 2).join("/");
  if (code === "GatedRepo") {
    return new KandinskyError("source_refused", {
      what: "the owner of this model wants terms to be accepted first",
      where: repository,
      hint: `accept them at ${endpoint}/${repository}, then set HF_TOKEN to a token of the same account`,
    });
  }
  if (status === 404 || code === "RepoNotFound") {
    return new KandinskyError("source_missing", {
      what:
        code === "RevisionNotFound" ? "the model has no such revision" : "the hub has nothing of this name",
      where:
        code === "RevisionNotFound"
          ? `--revision: ${decodeURIComponent(url.split("/").at(-1)!.split("?")[0]!)}`
          : where,
      hint:
        code === "RevisionNotFound"
          ? `see the branches and tags at ${endpoint}/${repository}`
          : `check the name at ${endpoint}; a private model needs HF_TOKEN`,
    });
  }
  if (status === 416) {
    return new KandinskyError("source_corrupt", {
      what: "the file at the hub is shorter than its list says",
      where,
      hint: "run the command again; if it stays so, the repository is damaged",
    });
  }
  if (status === 401 || status === 403) {
    return new KandinskyError("source_refused", {
      what:
        token === undefined
          ? "the hub wants to know who asks"
          : "the hub does not accept the token for this model",
      where,
      seen: `${status}`,
      hint: `set HF_TOKEN to a token of an account that may read ${repository} (${endpoint}/settings/tokens)`,
    });
  }
  return new KandinskyError("source_unreachable", {
    what: "the hub gives an answer that makes no sense",
    where,
    seen: `${status}`,
    hint: "check HF_ENDPOINT",
  });
}

/** The error of an answer that ended too soon, as often as it was asked for. */
export function lostBody(where: string, cause: unknown): KandinskyError {
  return new KandinskyError(
    "source_unreachable",
    {
      what: "the connection to the hub is cut again and again",
      where,
      seen: reasonOf(cause),
      hint: "run the command again: it goes on where it was",
    },
    { cause },
  );
}

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Where models come from and where they lie. */
export interface StoreSettings {
  /** Address of the hub, without a slash at the end. */
  readonly endpoint: string;
  /** The cache that Python's hub client keeps too: `models--org--name/` folders. */
  readonly cache: string;
  /** What the hub may be shown to tell who asks. */
  readonly token: string | undefined;
  /** Whether nothing may be asked of the network. */
  readonly offline: boolean;
  /** Folder of this program's own data: the list of models. */
  readonly data: string;
}

const DEFAULT_ENDPOINT = "https://huggingface.co";
const TRUE_WORDS = new Set(["1", "ON", "YES", "TRUE"]);

/** The machine as far as places depend on it. */
export interface Machine {
  readonly home: string;
  readonly platform: string;
}

/**
 * Reads the variables that Python's hub client knows (HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN,
 * HF_TOKEN_PATH, HF_HUB_OFFLINE, XDG_CACHE_HOME and their older names), with its defaults, and KANDINSKY_HOME for
 * the own data. Throws `option_invalid` for an endpoint or a token that cannot be one.
 */
export async function readSettings(env: Environment, machine: Machine): Promise<StoreSettings> {
  const path = (name: string) => expandHome(env[name], machine.home);
  const caches = path("XDG_CACHE_HOME") ?? join(machine.home, ".cache");
  const hubHome = path("HF_HOME") ?? join(caches, "huggingface");
  return {
    endpoint: checkEndpoint(given(env["HF_ENDPOINT"]) ?? DEFAULT_ENDPOINT),
    cache: path("HF_HUB_CACHE") ?? path("HUGGINGFACE_HUB_CACHE") ?? join(hubHome, "hub"),
    token: await readToken(env, path("HF_TOKEN_PATH") ?? join(hubHome, "token")),
    offline: TRUE_WORDS.has(
      (given(env["HF_HUB_OFFLINE"]) ?? env["TRANSFORMERS_OFFLINE"] ?? "").toUpperCase(),
    ),
    data: path("KANDINSKY_HOME") ?? dataFolder(env, machine),
  };
}

function dataFolder(env: Environment, { home, platform }: Machine): string {
  if (platform === "win32")
    return join(given(env["LOCALAPPDATA"]) ?? join(home, "AppData", "Local"), "kandinsky");
  if (platform === "darwin") return join(home, "Library", "Application Support", "kandinsky");
  return join(expandHome(env["XDG_DATA_HOME"], home) ?? join(home, ".local", "share"), "kandinsky");
}

function given(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === "" ? undefined : value.trim();
}

function expandHome(value: string | undefined, home: string): string | undefined {
  return given(value)?.replace(/^~(?=$|[/\\])/, () => home);
}

function checkEndpoint(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol)) return value.replace(/\/+$/, "");
  throw new KandinskyError("option_invalid", {
    what: "cannot use this address of a hub",
    where: "HF_ENDPOINT",
    seen: JSON.stringify(value),
    wanted: `an address such as ${DEFAULT_ENDPOINT}`,
  });
}

async function readToken(env: Environment, file: string): Promise<string | undefined> {
  const named = given(env["HF_TOKEN"]) ?? given(env["HUGGING_FACE_HUB_TOKEN"]);
  const token = named ?? given(await readFile(file, "utf8").catch(() => undefined));
  // The value is a secret: it is not shown.
  if (token === undefined || /^[\x21-\x7e]+$/.test(token)) return token;
  throw new KandinskyError("option_invalid", {
    what: "the token has characters that no token has",
    where: named === undefined ? file : "HF_TOKEN",
    hint: "copy it again from the hub's settings page",
  });
}

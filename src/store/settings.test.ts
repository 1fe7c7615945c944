import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readSettings } from "./settings.node.ts";
import { errorOf, temporaryFolder } from "./test-support.ts";

const linux = (home: string) => ({ home, platform: "linux" });

test("readSettings has the defaults of Python's hub client", async () => {
  const home = await temporaryFolder();
  expect(await readSettings({}, linux(home))).toEqual({
    endpoint: "https://huggingface.co",
    cache: join(home, ".cache/huggingface/hub"),
    token: undefined,
    offline: false,
    data: join(home, ".local/share/kandinsky"),
  });
  expect((await readSettings({}, { home, platform: "darwin" })).data).toBe(
    join(home, "Library/Application Support/kandinsky"),
  );
  expect((await readSettings({ LOCALAPPDATA: "/local" }, { home, platform: "win32" })).data).toBe(
    join("/local", "kandinsky"),
  );
});

test("readSettings honours the variables of Python's hub client, an empty one like none", async () => {
  const home = await temporaryFolder();
  const read = (env: Record<string, string>) => readSettings(env, linux(home));
  expect((await read({ HF_ENDPOINT: "https://mirror.example/hub/" })).endpoint).toBe(
    "https://mirror.example/hub",
  );
  expect((await read({ HF_HOME: "~/hf" })).cache).toBe(join(home, "hf/hub"));
  expect((await read({ XDG_CACHE_HOME: "/c", HF_HOME: "" })).cache).toBe("/c/huggingface/hub");
  expect((await read({ HF_HOME: "/a", HF_HUB_CACHE: "/b" })).cache).toBe("/b");
  expect((await read({ HF_HOME: "/a", HUGGINGFACE_HUB_CACHE: "/d" })).cache).toBe("/d");
  expect((await read({ KANDINSKY_HOME: "/k", XDG_DATA_HOME: "/x" })).data).toBe("/k");
  expect((await read({ XDG_DATA_HOME: "/x" })).data).toBe("/x/kandinsky");
  for (const word of ["1", "true", "YES", "on"])
    expect((await read({ HF_HUB_OFFLINE: word })).offline, word).toBe(true);
  for (const word of ["0", "false", ""])
    expect((await read({ HF_HUB_OFFLINE: word })).offline, word).toBe(false);
});

test("readSettings takes the token from HF_TOKEN, else from the file that Python's client writes", async () => {
  const home = await temporaryFolder();
  writeFileSync(join(home, "token"), "hf_file\n");
  const read = async (env: Record<string, string>) =>
    (await readSettings({ HF_HOME: home, ...env }, linux(home))).token;
  expect(await read({})).toBe("hf_file");
  expect(await read({ HF_TOKEN: " hf_env " })).toBe("hf_env");
  expect(await read({ HF_TOKEN_PATH: join(home, "none") })).toBe(undefined);
});

test("readSettings refuses an address or a token that cannot be one, without showing the token", async () => {
  const read = (env: Record<string, string>) => errorOf(() => readSettings(env, linux("/nowhere")));
  for (const value of ["huggingface.co", "ftp://hub.example", "http://"]) {
    expect((await read({ HF_ENDPOINT: value })).parts).toMatchObject({
      where: "HF_ENDPOINT",
      seen: JSON.stringify(value),
    });
  }
  const error = await read({ HF_TOKEN: "hf_a\nb" });
  expect([error.code, error.parts.where]).toEqual(["option_invalid", "HF_TOKEN"]);
  expect(error.message).not.toContain("hf_a");
});

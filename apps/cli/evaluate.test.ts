import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { copyOfTiny, runHere, temporaryFolder } from "./test-support.ts";

test("evaluate: mistakes are told with their place, without a trace", async () => {
  const folder = temporaryFolder();
  const model = copyOfTiny(folder);
  const none = await runHere(["evaluate", model]);
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining("subjects.json")]);
  const language = await runHere(["evaluate", model, "--languages", "en,rus"]);
  expect([language.code, language.stderr]).toEqual([2, expect.stringContaining('"rus"')]);
  writeFileSync(join(model, "subjects.json"), '[{"code":"1F34E","labels":{"en":');
  const cut = await runHere(["evaluate", model]);
  expect([cut.code, cut.stderr]).toEqual([2, expect.stringContaining("subjects.json")]);
  const nameless = [{ code: "1F999", labels: { en: "llama" }, style: "noto" }];
  writeFileSync(join(model, "subjects.json"), JSON.stringify(nameless));
  const unnamed = await runHere(["evaluate", model, "--languages", "fr", "--lang", "ru"]);
  expect([unnamed.code, unnamed.stderr]).toEqual([
    2,
    expect.stringContaining("у предмета нет имени на этом языке"),
  ]);
  for (const { stderr } of [none, language, cut, unnamed]) expect(stderr).not.toMatch(/^\s+at /m);
});

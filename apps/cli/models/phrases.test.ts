import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { translate } from "../messages/phrases.ts";

const STORE = fileURLToPath(new URL("../../../../src/store/", import.meta.url));

test("every sentence of the store's errors is there in Russian", () => {
  const files = readdirSync(STORE).filter((name) => !/test|README/.test(name));
  const texts = files.flatMap((name) => [
    ...readFileSync(join(STORE, name), "utf8").matchAll(
      /(?:what|hint)\b[^"`\n]{0,40}?(?:"([^"\n]+)"|`((?:\\`|[^`\n])+)`)/g,
    ),
  ]);
  const said = texts.map(
    ([, plain, pattern]) => plain ?? pattern!.replace(/\$\{[^}]*\}/g, "X").replaceAll("\\`", "`"),
  );
  expect(said.length).toBeGreaterThan(40);
  expect(said.filter((text) => / /.test(text) && translate(text, "ru") === text)).toEqual([]);
});

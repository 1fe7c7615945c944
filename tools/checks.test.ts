import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { undocumentedExports } from "./check-docs.ts";
import { checkLength } from "./check-length.ts";
import { checkRooms } from "./check-rooms.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A folder with these files. */
function treeOf(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "kandinsky-checks-"));
  folders.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

// Written in two parts: this file is read by the check, too.
const imports = (path: string) => `imp${"ort"} { x } from "${path}";\n`;

test.each([
  [
    "a room that it may not",
    "src/tensor/a.ts",
    imports("../graph/mod.ts"),
    "src/tensor may not import src/graph",
  ],
  [
    "past a front door",
    "src/graph/a.ts",
    imports("../tensor/dtype.ts"),
    "behind the front door src/tensor/mod.ts",
  ],
  ["an app", "examples/a.ts", imports("../apps/cli/main.ts"), "nothing imports apps"],
  ["node: modules", "src/graph/a.ts", imports("node:fs"), "node: modules are for"],
  ["the console", "src/graph/a.ts", "console.log(1);\n", "console and process are for"],
  ["Math.random", "src/graph/a.ts", "export const x = Math.random();\n", "Math.random are for"],
  ["an unknown room", "src/attic/a.ts", "", "src/attic is not in tools/rooms.ts"],
])("checkRooms refuses %s", (_, path, text, problem) => {
  const problems = checkRooms(treeOf({ [path]: text }));
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(problem);
});

test("checkRooms allows what the table allows, comments, tests, and files for the machine", () => {
  const root = treeOf({
    "src/graph/a.ts": `${imports("../tensor/mod.ts")}${imports("../base/mod.ts")}/* console.log */\n`,
    "src/graph/a.test.ts": imports("../onnx/mod.ts") + imports("node:fs"),
    "src/image/a.node.ts": imports("node:fs"),
    "src/runtime/a.ts": imports("node:fs"),
    "apps/cli/a.ts": imports("../../src/mod.ts"),
  });
  expect(checkRooms(root)).toEqual([]);
});

test("checkLength names files that are too long", () => {
  const root = treeOf({ "src/a.ts": "\n".repeat(600), "tools/b.ts": "\n".repeat(601) });
  expect(checkLength(root)).toEqual(["tools/b.ts: 601 lines, at most 600"]);
});

test("undocumentedExports follows re-exports and asks only for what is handed on", () => {
  const root = treeOf({
    "mod.ts": 'export { type A, b } from "./a.ts";\nexport * from "./c.ts";\n',
    "a.ts": "/** A. */\nexport interface A {}\nexport const b = 1;\nexport const hidden = 2;\n",
    "c.ts": "export async function* d() {}\n/**\n * E.\n */\nexport class E {}\n",
  });
  const names = undocumentedExports(join(root, "mod.ts")).map((line) => /: (\w+) is/.exec(line)?.[1]);
  expect(names).toEqual(["b", "d"]);
});

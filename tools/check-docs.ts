import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { ERRORS } from "../src/base/mod.ts";
import { ROOMS } from "./rooms.ts";

/** What the documents say that the code does not, one line each. */
export function checkDocs(root: string): string[] {
  return [
    ...checkRoomMap(root),
    ...checkErrorTable(root),
    ...undocumentedExports(join(root, "src/mod.ts")).map((problem) => relative(root, problem)),
    ...deadLinks(root),
  ];
}

const MAP = "docs/architecture.md";

/** Every room has a README, and a row in the map that says what `rooms.ts` says. */
function checkRoomMap(root: string): string[] {
  const rows = tableRows(join(root, MAP));
  const mapped = new Map(rows.map(([room, , imports]) => [`src/${nameIn(room)}`, imports ?? ""]));
  return Object.entries(ROOMS).flatMap(([room, allowed]) => {
    const problems: string[] = [];
    if (!existsSync(join(root, room, "mod.ts"))) problems.push(`${room}: no mod.ts`);
    if (!existsSync(join(root, room, "README.md"))) problems.push(`${room}: no README.md`);
    const said = mapped.get(room);
    if (said === undefined) return [...problems, `${MAP}: no row for ${room}`];
    const wanted = allowed.length === 0 ? "nothing" : allowed.join(", ");
    return said === wanted ? problems : [...problems, `${MAP}: ${room}: seen "${said}", wanted "${wanted}"`];
  });
}

const ERROR_TABLE = "docs/errors.md";

/** The table of error codes has every code, no other, and the fault of each. */
function checkErrorTable(root: string): string[] {
  const rows = tableRows(join(root, ERROR_TABLE)).filter(([code]) => code!.startsWith("`"));
  const said = new Map(rows.map(([code, fault]) => [code!.replaceAll("`", ""), fault]));
  const codes = Object.entries(ERRORS).flatMap(([code, { fault }]) =>
    said.get(code) === fault
      ? []
      : [`${ERROR_TABLE}: ${code}: seen ${said.get(code) ?? "no row"}, wanted ${fault}`],
  );
  const unknown = [...said.keys()].filter((code) => !Object.hasOwn(ERRORS, code));
  return [...codes, ...unknown.map((code) => `${ERROR_TABLE}: ${code} is no error code`)];
}

/** Exports of a module, those of the modules it hands on among them, that have no doc comment. */
export function undocumentedExports(file: string, only?: ReadonlySet<string>): string[] {
  const source = readFileSync(file, "utf8");
  const problems: string[] = [];
  for (const [, names, target] of source.matchAll(/^export (?:type )?(\*|\{[^}]*\}) from "([^"]+)";/gm)) {
    const listed = names === "*" ? undefined : new Set(namesIn(names!));
    const wanted = intersection(listed, only);
    if (wanted?.size !== 0) problems.push(...undocumentedExports(join(dirname(file), target!), wanted));
  }
  const declaration =
    /(\*\/\n)?^export (?:declare |abstract |async )*(?:const|function\*?|class|interface|type) (\w+)/gm;
  for (const [, comment, name] of source.matchAll(declaration)) {
    if (comment === undefined && (only === undefined || only.has(name!))) {
      problems.push(`${file}: ${name} is exported without a doc comment`);
    }
  }
  return problems;
}

function namesIn(list: string): string[] {
  return [...list.matchAll(/(?:type )?(\w+)(?: as \w+)?\s*[,}]/g)].map((match) => match[1]!);
}

function intersection(
  a: ReadonlySet<string> | undefined,
  b: ReadonlySet<string> | undefined,
): ReadonlySet<string> | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return new Set([...a].filter((name) => b.has(name)));
}

/** Links of the documents to files that do not exist. */
function deadLinks(root: string): string[] {
  const documents = [
    ...readdirSync(root).filter((name) => name.endsWith(".md")),
    ...readdirSync(join(root, "docs"))
      .filter((name) => name.endsWith(".md"))
      .map((name) => `docs/${name}`),
  ];
  return documents.flatMap((document) => {
    const text = readFileSync(join(root, document), "utf8");
    const targets = [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map((match) => match[1]!);
    return targets
      .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(join(root, dirname(document), target)))
      .map((target) => `${document}: ${target} does not exist`);
  });
}

/** The cells of every table row of a Markdown file. */
function tableRows(file: string): string[][] {
  const lines = readFileSync(file, "utf8").split("\n");
  return lines
    .filter((line) => line.startsWith("|"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

/** The text of a cell that may be a link. */
function nameIn(cell: string | undefined): string {
  return (cell ?? "").replace(/^\[([^\]]*)\].*$/, "$1").replaceAll("`", "");
}

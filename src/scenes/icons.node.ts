import { spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { platform } from "node:process";
import { KandinskyError } from "../base/mod.ts";
import { MASTER_SIDE } from "./compose.ts";
import { STYLES, type StyleName } from "./styles.ts";

/** The icons of one set. */
export interface IconSet {
  /** The icon's name for every code. */
  readonly names: ReadonlyMap<string, string>;
  /** The icon as an SVG of the masters' size. */
  readonly svg: (name: string) => string | undefined;
}

/**
 * Installs the packages of the styles into `folder` with npm unless they are there: pinned versions, held to the
 * integrity in `STYLES`, without running their scripts. They are no dependencies of this package: 34 MB for two
 * styles and 160 MB for all, which only a builder of data sets needs.
 */
export async function installIcons(
  folder: string,
  styles: readonly StyleName[],
  onInstall: (packages: readonly string[]) => void,
): Promise<void> {
  const present = await Promise.all(styles.map((style) => isInstalled(folder, style)));
  if (present.every((found) => found)) return;
  const packages = styles.map((style) => STYLES[style]);
  onInstall(packages.map((one) => `${one.package}@${one.version}`));
  const icons = iconFolder(folder);
  await mkdir(icons, { recursive: true });
  const root = {
    name: "kandinsky-icons",
    version: "1.0.0",
    private: true,
    dependencies: Object.fromEntries(packages.map((one) => [one.package, one.version])),
  };
  const lock = {
    name: root.name,
    version: root.version,
    lockfileVersion: 3,
    requires: true,
    packages: {
      "": root,
      ...Object.fromEntries(
        packages.map(({ package: name, version, integrity }) => [
          `node_modules/${name}`,
          { version, integrity, dependencies: { "@iconify/types": "*" } },
        ]),
      ),
      "node_modules/@iconify/types": TYPES,
    },
  };
  await writeFile(join(icons, "package.json"), JSON.stringify(root, undefined, 2));
  await writeFile(join(icons, "package-lock.json"), JSON.stringify(lock, undefined, 2));
  await runNpm(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", icons]);
}

/** What every icon package depends on. */
const TYPES = {
  version: "2.0.0",
  integrity:
    "sha512-+wluvCrRhXrhyOmRDJ3q8mux9JkKy5SJ/v8ol2tu4FVjyYvtEzkc/3pK15ET6RKg4b4w4BmTk1+gsCUhf21Ykg==",
};

function iconFolder(folder: string): string {
  return join(folder, "icons");
}

async function isInstalled(folder: string, style: StyleName): Promise<boolean> {
  const { package: name, version } = STYLES[style];
  try {
    const text = await readFile(join(iconFolder(folder), "node_modules", name, "package.json"), "utf8");
    return (JSON.parse(text) as { version?: unknown }).version === version;
  } catch {
    return false;
  }
}

/** Runs npm and tells its last lines where it fails. */
function runNpm(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    // npm is a script on Windows, which only a shell can start; no argument comes from outside but the folder.
    const windows = platform === "win32";
    const quoted = windows ? args.map((arg) => `"${arg}"`) : args;
    const child = spawn("npm", quoted, { shell: windows, stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-2000);
    });
    const fail = (seen: string) =>
      reject(
        new KandinskyError("program_failed", {
          what: "npm cannot install the icon sets",
          where: `npm ${args.join(" ")}`,
          seen,
          hint: "check that npm runs and reaches its registry",
        }),
      );
    child.on("error", (error) => fail(error.message));
    child.on("close", (code) => (code === 0 ? resolve() : fail(said.trim().split("\n").slice(-3).join(" "))));
  });
}

interface IconJson {
  readonly width?: number;
  readonly height?: number;
  readonly icons: Readonly<Record<string, { body: string; width?: number; height?: number }>>;
  readonly aliases?: Readonly<Record<string, { parent: string }>>;
}

/** Reads an installed set. */
export async function readIconSet(folder: string, style: StyleName): Promise<IconSet> {
  const root = join(iconFolder(folder), "node_modules", STYLES[style].package);
  const json = JSON.parse(await readFile(join(root, "icons.json"), "utf8")) as IconJson;
  const codes = JSON.parse(await readFile(join(root, "chars.json"), "utf8")) as Record<string, string>;
  return {
    names: new Map(Object.entries(codes).map(([code, name]) => [code.toUpperCase(), name])),
    svg: (name) => {
      const icon = json.icons[name] ?? json.icons[json.aliases?.[name]?.parent ?? ""];
      if (icon === undefined) return undefined;
      const width = icon.width ?? json.width ?? 16;
      const height = icon.height ?? json.height ?? 16;
      return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${MASTER_SIDE}" height="${MASTER_SIDE}">${icon.body}</svg>`;
    },
  };
}

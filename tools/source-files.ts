import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Folders of the repository that hold TypeScript. */
const TOPS = ["src", "apps", "tools", "bench", "examples"];

/** Every TypeScript file below the root, as a path with forward slashes. */
export function sourceFiles(root: string): string[] {
  const files: string[] = [];
  const visit = (folder: string) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) visit(path);
      else if (path.endsWith(".ts")) files.push(path);
    }
  };
  for (const top of TOPS) if (existsSync(join(root, top))) visit(top);
  return files;
}

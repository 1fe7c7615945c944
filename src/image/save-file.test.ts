import { execFile } from "node:child_process";
import * as nodeFiles from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { checkOutput, type SaveFileSystem, saveFile } from "./save-file.node.ts";

const BYTES = Uint8Array.of(1, 2, 3);
const NEW = { overwrite: false } as const;

async function temporaryFolder(): Promise<string> {
  const folder = await nodeFiles.mkdtemp(join(tmpdir(), "kandinsky-save-"));
  onTestFinished(() => nodeFiles.rm(folder, { recursive: true, force: true }));
  return folder;
}

function failing(code: string, at: "open" | "write" | "link" | "rename"): SaveFileSystem {
  const error = Object.assign(new Error(`${code}: injected`), { code });
  const fail = async () => {
    throw error;
  };
  if (at !== "write") return { ...nodeFiles, [at]: fail };
  return {
    ...nodeFiles,
    open: async (...parameters) => {
      const file = await nodeFiles.open(...parameters);
      // Half of the bytes reach the disk before it is full.
      file.writeFile = async () => {
        await file.write(BYTES.subarray(0, 1));
        throw error;
      };
      return file;
    },
  };
}

test("saveFile fills the pattern and writes the bytes", async () => {
  const folder = await temporaryFolder();
  const path = await saveFile(join(folder, "кот-{seed}-{index}.png"), BYTES, {
    ...NEW,
    values: { seed: 0n, index: 2 },
  });
  expect(path).toBe(join(folder, "кот-0-2.png"));
  expect([...(await nodeFiles.readFile(path))]).toEqual([1, 2, 3]);
  expect(await nodeFiles.readdir(folder)).toEqual(["кот-0-2.png"]);
});

test("saveFile takes the number behind the largest, whatever else lies there", async () => {
  const folder = await temporaryFolder();
  const pattern = join(folder, "kandinsky-{number}.png");
  expect(await saveFile(pattern, BYTES, NEW)).toBe(join(folder, "kandinsky-0001.png"));
  for (const name of ["kandinsky-0041.png", "kandinsky-99.png", "kandinsky-0050.webp", "kandinsky-x.png"]) {
    await nodeFiles.writeFile(join(folder, name), "");
  }
  expect(await saveFile(pattern, BYTES, NEW)).toBe(join(folder, "kandinsky-0042.png"));
  await nodeFiles.writeFile(join(folder, "kandinsky-9999.png"), "");
  expect(await saveFile(pattern, BYTES, NEW)).toBe(join(folder, "kandinsky-10000.png"));
  expect(await saveFile(pattern, BYTES, { overwrite: true })).toBe(join(folder, "kandinsky-10001.png"));
});

test("saveFile replaces a file only where it is told to", async () => {
  const folder = await temporaryFolder();
  const path = join(folder, "a.png");
  await nodeFiles.writeFile(path, "old");
  await expect(saveFile(path, BYTES, NEW)).rejects.toMatchObject({
    code: "output_exists",
    message: expect.stringContaining(path),
  });
  expect(await nodeFiles.readFile(path, "utf8")).toBe("old");
  await saveFile(path, BYTES, { overwrite: true });
  expect([...(await nodeFiles.readFile(path))]).toEqual([1, 2, 3]);
  expect(await nodeFiles.readdir(folder)).toEqual(["a.png"]);
});

test("saveFile names an unknown word of the pattern", async () => {
  await expect(saveFile("{sed}.png", BYTES, { ...NEW, values: { seed: 1 } })).rejects.toMatchObject({
    code: "option_invalid",
    parts: { seen: "{sed}", hint: "did you mean {seed}?" },
  });
});

test("saveFile and checkOutput refuse what is no place for a file", async () => {
  const folder = await temporaryFolder();
  await nodeFiles.mkdir(join(folder, "taken"));
  await nodeFiles.writeFile(join(folder, "file"), "");
  const places = [
    [join(folder, "missing", "a.png"), "no folder"],
    [join(folder, "file", "a.png"), "not a folder"],
    [join(folder, "taken"), "seen a folder"],
    [join(folder, `${"a".repeat(300)}.png`), "longer"],
  ] as const;
  for (const [path, text] of places) {
    for (const overwrite of [false, true]) {
      await expect(saveFile(path, BYTES, { overwrite })).rejects.toMatchObject({
        code: "output_unwritable",
        // Windows has fewer words for these failures.
        message: expect.stringContaining(process.platform === "win32" ? path : text),
      });
    }
  }
  for (const [path] of places) {
    await expect(checkOutput(path, NEW)).rejects.toMatchObject({ code: "output_unwritable" });
  }
  expect((await nodeFiles.readdir(folder)).sort()).toEqual(["file", "taken"]);
});

test.skipIf(process.platform === "win32")("saveFile never replaces a device", async () => {
  await expect(saveFile("/dev/null", BYTES, { overwrite: true })).rejects.toMatchObject({
    code: "output_unwritable",
    message: expect.stringContaining("a device"),
  });
  expect((await nodeFiles.stat("/dev/null")).isCharacterDevice()).toBe(true);
});

test("saveFile leaves nothing behind where the disk is full or the folder closed", async () => {
  const folder = await temporaryFolder();
  const cases = [
    ["ENOSPC", "write", "disk_full"],
    ["EDQUOT", "write", "disk_full"],
    ["ENOSPC", "link", "disk_full"],
    ["EIO", "write", "output_unwritable"],
    ["EACCES", "open", "output_unwritable"],
    ["EROFS", "open", "output_unwritable"],
    ["EIO", "rename", "output_unwritable"],
  ] as const;
  for (const [system, at, code] of cases) {
    for (const name of ["a.png", "a-{number}.png"]) {
      if (at === "rename" && name !== "a.png") continue;
      const options = { overwrite: at === "rename", files: failing(system, at) };
      await expect(saveFile(join(folder, name), BYTES, options), `${system} at ${at}`).rejects.toMatchObject({
        code,
      });
      expect(await nodeFiles.readdir(folder), `${system} at ${at}`).toEqual([]);
    }
  }
});

test("saveFile does without links, still taking no name twice", async () => {
  const folder = await temporaryFolder();
  const files = failing("EPERM", "link");
  const path = join(folder, "a.png");
  await saveFile(path, BYTES, { ...NEW, files });
  expect([...(await nodeFiles.readFile(path))]).toEqual([1, 2, 3]);
  await expect(saveFile(path, BYTES, { ...NEW, files })).rejects.toMatchObject({ code: "output_exists" });
  const [first, second] = await Promise.all(
    [1, 2].map(() => saveFile(join(folder, "b-{number}.png"), BYTES, { ...NEW, files })),
  );
  expect([first, second].sort()).toEqual([join(folder, "b-0001.png"), join(folder, "b-0002.png")]);
  const stuck = { ...files, rename: failing("EIO", "rename").rename };
  await expect(saveFile(join(folder, "c.png"), BYTES, { ...NEW, files: stuck })).rejects.toMatchObject({
    code: "output_unwritable",
  });
  expect((await nodeFiles.readdir(folder)).sort()).toEqual(["a.png", "b-0001.png", "b-0002.png"]);
});

test("checkOutput finds a taken name and leaves nothing", async () => {
  const folder = await temporaryFolder();
  const path = join(folder, "a.png");
  await checkOutput(path, NEW);
  await checkOutput(join(folder, "a-{number}.png"), NEW);
  expect(await nodeFiles.readdir(folder)).toEqual([]);
  await nodeFiles.writeFile(path, "old");
  await expect(checkOutput(path, NEW)).rejects.toMatchObject({ code: "output_exists" });
  await checkOutput(path, { overwrite: true });
  expect(await nodeFiles.readdir(folder)).toEqual(["a.png"]);
});

test("saveFile lets two processes write into one folder", async () => {
  const folder = await temporaryFolder();
  const script = `
    const { saveFile } = await import(process.argv[1]);
    let taken = 0;
    for (let i = 0; i < 20; i++) {
      const bytes = Buffer.alloc(100_000, process.argv[3]);
      await saveFile(process.argv[2] + "/p-{number}.png", bytes, { overwrite: false });
      await saveFile(process.argv[2] + "/one-" + i + ".png", bytes, { overwrite: false }).catch((error) => {
        if (error.code !== "output_exists") throw error;
        taken++;
      });
    }
    console.log(taken);`;
  const module = new URL("./save-file.node.js", import.meta.url).href;
  const run = promisify(execFile);
  const outputs = await Promise.all(
    ["A", "B"].map((mark) =>
      run(process.execPath, ["--input-type=module", "-e", script, module, folder, mark]),
    ),
  );
  const names = await nodeFiles.readdir(folder);
  expect(names.filter((name) => name.startsWith("p-")).length).toBe(40);
  expect(names.filter((name) => name.startsWith("one-")).length).toBe(20);
  expect(names.length).toBe(60);
  expect(outputs.reduce((sum, { stdout }) => sum + Number(stdout), 0)).toBe(20);
  for (const name of names) {
    const bytes = await nodeFiles.readFile(join(folder, name));
    expect(bytes.length === 100_000 && bytes.every((byte) => byte === bytes[0]), name).toBe(true);
  }
});

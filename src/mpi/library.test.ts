import { expect, test } from "vitest";
import { FLAVOURS } from "./flavours.ts";
import { checkLauncher, findLibrary } from "./library.ts";

/** A system on which these files are installed. */
const systemWith = (files: readonly string[]) => (file: string) => {
  if (files.includes(file)) return file;
  throw new Error("no such file");
};

test("findLibrary takes the launcher's library, else the first that is there", () => {
  const both = systemWith(["libmpi.so.40", "libmpich.so.12"]);
  expect(findLibrary(both, {}, "linux").library).toBe("libmpi.so.40");
  expect(findLibrary(both, { OMPI_COMM_WORLD_SIZE: "2" }, "linux").flavour).toBe(FLAVOURS["Open MPI"]);
  expect(findLibrary(both, { PMI_SIZE: "2" }, "linux")).toEqual({
    library: "libmpich.so.12",
    flavour: FLAVOURS.MPICH,
  });
  expect(findLibrary(systemWith(["libmpich.so.12"]), {}, "linux").library).toBe("libmpich.so.12");
});

test("findLibrary says what was looked for and what to install", () => {
  const none = systemWith([]);
  expect(() => findLibrary(none, {}, "linux")).toThrow(
    /no MPI library was found: seen none of libmpi.so.40, libmpi.so.12, libmpich.so.12; install Open MPI .*apt install openmpi-bin/,
  );
  expect(() => findLibrary(systemWith(["libmpich.so.12"]), { OMPI_COMM_WORLD_SIZE: "2" }, "linux")).toThrow(
    "seen none of libmpi.so.40;",
  );
  expect(() => findLibrary(none, {}, "win32")).toThrow("no known name of one on win32");
});

test("checkLauncher finds a library that does not know its launcher", () => {
  expect(() => checkLauncher(1, { OMPI_COMM_WORLD_SIZE: "4" })).toThrow(
    "the MPI library is not that of the launcher: seen 1 of 4 processes, wanted the library of Open MPI",
  );
  expect(() => checkLauncher(4, { OMPI_COMM_WORLD_SIZE: "4" })).not.toThrow();
  expect(() => checkLauncher(1, {})).not.toThrow();
});

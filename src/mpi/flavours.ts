/** A handle of MPI as a C argument: an address or a whole number. */
export type Handle = bigint | number;

/** What libraries of one binary interface call the things that the C header names. */
export interface Flavour {
  /** File names to try, by Node's name of the system. */
  readonly files: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>>;
  /** Variable in which its launcher tells how many processes it started. */
  readonly sizeVariable: string;
  /** Which of them this is. */
  readonly rankVariable: string;
  /** How many of them are on this machine. */
  readonly localSizeVariable: string;
  /** Type of handles in a C prototype. */
  readonly handleType: "void *" | "int";
  /** The value of `MPI_IN_PLACE`. */
  readonly inPlace: bigint;
  /** Handles; `address` finds a variable of the library. */
  readonly handles: (address: (name: string) => bigint) => Handles;
}

export interface Handles {
  readonly world: Handle;
  readonly float: Handle;
  readonly byte: Handle;
  readonly sum: Handle;
}

/**
 * The two binary interfaces in use. Open MPI's handles are addresses of its variables; MPICH's, which Intel MPI,
 * MVAPICH and Cray MPICH share, are numbers fixed by its ABI agreement of 2013.
 */
export const FLAVOURS: Readonly<Record<"Open MPI" | "MPICH", Flavour>> = {
  "Open MPI": {
    files: {
      linux: ["libmpi.so.40"],
      darwin: ["libmpi.40.dylib", "/opt/homebrew/lib/libmpi.40.dylib", "/usr/local/lib/libmpi.40.dylib"],
    },
    sizeVariable: "OMPI_COMM_WORLD_SIZE",
    rankVariable: "OMPI_COMM_WORLD_RANK",
    localSizeVariable: "OMPI_COMM_WORLD_LOCAL_SIZE",
    handleType: "void *",
    inPlace: 1n,
    handles: (address) => ({
      world: address("ompi_mpi_comm_world"),
      float: address("ompi_mpi_float"),
      byte: address("ompi_mpi_byte"),
      sum: address("ompi_mpi_op_sum"),
    }),
  },
  MPICH: {
    files: {
      linux: ["libmpi.so.12", "libmpich.so.12"],
      darwin: ["libmpi.12.dylib", "/opt/homebrew/lib/libmpi.12.dylib", "/usr/local/lib/libmpi.12.dylib"],
    },
    sizeVariable: "PMI_SIZE",
    rankVariable: "PMI_RANK",
    localSizeVariable: "MPI_LOCALNRANKS",
    handleType: "int",
    inPlace: -1n,
    handles: () => ({ world: 0x44000000, float: 0x4c00040a, byte: 0x4c00010d, sum: 0x58000003 }),
  },
};

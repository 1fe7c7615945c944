/**
 * How a part's weights are kept while it runs: `float32` prepared and widened on the disk, the fastest; `stored` in
 * the type of the model's files, prepared too, and widened at each use: the same values in fewer bytes; `int8` and
 * `int4` rounded in blocks where layers have weights enough, and as float32 elsewhere.
 */
export type Precision = "float32" | "stored" | "int8" | "int4";

/** What each room may import besides `base`. Checked by `tools/check-rooms.ts` with no exempt folder. */
export const ROOMS: Readonly<Record<string, readonly string[]>> = {
  "src/base": [],
  "src/tensor": [],
  "src/random": ["tensor"],
  "src/graph": ["tensor"],
  "src/interp": ["graph", "tensor"],
  "src/autodiff": ["graph", "tensor"],
  "src/passes": ["graph", "interp", "tensor"],
  "src/onnx": ["graph", "tensor"],
  "src/runtime": ["tensor"],
  "src/checkpoint": ["tensor"],
  "src/tokenizer": [],
  "src/image": ["tensor"],
  "src/video": ["image"],
  "src/masks": ["random", "tensor"],
  "src/nn": ["graph", "tensor"],
  "src/models": ["nn", "graph", "tensor"],
  "src/diffusion": ["random", "tensor"],
  "src/adapters": ["checkpoint", "graph", "interp", "passes", "tensor"],
  "src/pipelines": [
    "models",
    "adapters",
    "diffusion",
    "random",
    "passes",
    "interp",
    "onnx",
    "runtime",
    "checkpoint",
    "tokenizer",
    "image",
    "graph",
    "tensor",
  ],
};

/** Rooms that may use `node:` modules, `process` and `console`; elsewhere only files named `*.node.ts`. */
export const NODE_ROOMS: readonly string[] = ["src/runtime", "apps", "tools", "bench", "examples"];

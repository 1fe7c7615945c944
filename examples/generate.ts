/**
 * Draws one picture with the library: `node dist/examples/generate.js [PROMPT] [FILE]` after `npm run build`.
 * Shows the events of a run, a preview of every step, and how to stop.
 */
import { argv } from "node:process";
import { encodePicture, Kandinsky3, saveFile } from "kandinsky";

const [prompt = "two pandas on a pink background", file = "pandas.png"] = argv.slice(2);

// Ctrl-C ends the run at once; the iteration then throws a KandinskyError with the code "cancelled".
const controller = new AbortController();
process.once("SIGINT", () => controller.abort());

const model = await Kandinsky3.load();
try {
  for await (const event of model.generate({ prompt, seed: 7 }, { signal: controller.signal })) {
    if (event.type === "notice") console.log(`note: ${event.notice}`);
    if (event.type === "step") console.log(`step ${event.index + 1} of ${event.total}`);
    if (event.type === "picture") {
      const { width, height } = event.picture;
      const bytes = await encodePicture(event.picture, "png", event.metadata);
      await saveFile(file, bytes, { overwrite: true });
      console.log(`${file}: ${width}x${height}, seed ${event.job.seed}`);
    }
  }
} finally {
  await model.dispose();
}

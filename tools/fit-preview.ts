import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError } from "../src/base/mod.ts";
import { fitPreviewMatrix, type Picture, saveFile } from "../src/image/mod.ts";
import { Kandinsky3, PREVIEW_FILE } from "../src/pipelines/mod.ts";
import { row, type Tensor } from "../src/tensor/mod.ts";

// node dist/tools/fit-preview.js MODEL
// Draws pictures with a model and writes the matrix that turns its latents into rough colours, for previews.

/** Different colours, shapes and backgrounds; subjects that small models know too. */
const SUBJECTS = ["panda", "fox", "red apple", "frog", "Christmas tree", "strawberry", "house", "tiger face"];
const PLACES = ["", " on a pink background", " on a blue background"];
const PROMPTS = SUBJECTS.flatMap((subject) => PLACES.map((place) => `${subject}${place}`));

process.exitCode = await main(process.argv[2]);

async function main(folder: string | undefined): Promise<number> {
  if (folder === undefined) {
    console.error("usage: node dist/tools/fit-preview.js MODEL");
    return 2;
  }
  try {
    const { latents, pictures } = await drawAll(folder);
    const text = `${JSON.stringify(fitPreviewMatrix(latents, pictures), undefined, 2)}\n`;
    const file = await saveFile(join(folder, PREVIEW_FILE), new TextEncoder().encode(text), {
      overwrite: true,
    });
    console.log(`${file}: ${(await readFile(file)).length} bytes, from ${pictures.length} pictures`);
    return 0;
  } catch (error) {
    if (!(error instanceof KandinskyError)) throw error;
    console.error(`error: ${error.message}`);
    return 1;
  }
}

/** The pictures of all prompts, and the latents that they were decoded from. */
async function drawAll(folder: string) {
  await using model = await Kandinsky3.load({ model: folder });
  const latents: Tensor<"float32">[] = [];
  const pictures: Picture[] = [];
  for await (const event of model.generate({ prompt: PROMPTS, seed: 0 })) {
    if (event.type === "step" && event.index === event.total - 1) {
      const { x } = event.state.current!.sampler;
      for (const [k, index] of event.pictures.entries()) latents[index] = row(x, k);
    }
    if (event.type === "picture") {
      pictures[event.job.index] = event.picture;
      console.log(`${event.job.index + 1} of ${PROMPTS.length}: ${event.job.prompt}`);
    }
  }
  return { latents, pictures };
}

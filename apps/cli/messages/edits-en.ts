/** Texts of the commands that work on pictures, and of `panorama`. */
export const editsEn = {
  group: "Editing:",
  picture: "the picture: PNG, JPEG, WebP, GIF, TIFF or AVIF, of any size",
  prompt: "what to draw",
  optionalPrompt: "what to draw; may be left out",
  size: "size of the result, such as 768x512 (default: that of the picture, at most the model's area)",
  strength: (usual: number) => `above 0, to 1: how much is drawn anew (default: ${usual})`,
  strengthAs:
    "schedule, or linear for strengths of Kandinsky 2.2: the same ratio of signal to noise is found",
  mask: "picture whose white parts are repainted; where it has transparency, the transparent ones",
  box: "repaint this box of pixels: LEFT,TOP,WIDTH,HEIGHT",
  polygon: 'repaint what these corners enclose: "X,Y X,Y X,Y"',
  strokes: 'repaint brush strokes, from a JSON file: [{"points": [[X, Y], ...], "width": 20}, ...]',
  colorKey: "repaint pixels of a colour, within a tolerance of 0 to 255: #00ff00:32",
  invert: "repaint what the mask keeps",
  grow: "pixels by which the mask grows (default: 0)",
  feather: "pixels around the mask in which old and new pass over (default: 4)",
  matchColors: "leave colours as drawn, even where they do not meet",
  region:
    "whole picture, or mask: only the surroundings of the mask, in more detail; auto by the picture's size",
  padding: "pixels of surroundings around the mask for --region mask (default: 32)",
  strict: "refuse a mask of another size than the picture's",
  side: (side: string) => `pixels to add ${side}, or a share such as 25%`,
  sides: { left: "on the left", right: "on the right", top: "on top", bottom: "at the bottom" },
  ratio: "shape of the result, such as 16:9, by adding to both sides alike",
  sections: "prompts from left to right, from a file, one a line",
  width: "width in pixels (default: four times the model's side)",
  height: "height in pixels (default: the model's side)",
  panoramaSize: "both, such as 4096x1024",
  wrap: "let the right end go on at the left",
  overlap: "share of a window that the next one covers too, 0.125 to 0.875 (default: 0.5)",
  join: (usual: string) =>
    `average: windows agree in every step; noise: each by itself from shared noise (default: ${usual})`,
  by: "2 or 4",
  usages: {
    edit: "PICTURE PROMPT [options]",
    inpaint: "PICTURE [PROMPT] [options]",
    extend: "PICTURE [PROMPT] [options]",
    panorama: "PROMPT [options]",
    upscale: "PICTURE [PROMPT] --by 2|4 [options]",
  },
  examples: {
    edit: [
      ["kandinsky edit photo.jpg a watercolour of a harbour --strength 0.6", "change a picture"],
      [
        "kandinsky edit frame.png a forest --strength 0.15 --strength-as linear",
        "a strength of Kandinsky 2.2",
      ],
    ],
    inpaint: [
      ["kandinsky inpaint photo.jpg a red hat --mask hat-mask.png", "white parts of the mask"],
      ["kandinsky inpaint photo.jpg a red hat --box 40,10,120,80 --feather 8", "a box"],
      ["kandinsky inpaint cut-out.png a beach", "the transparent parts"],
    ],
    extend: [
      ["kandinsky extend photo.jpg a wide beach --left 128 --right 25%", "to the sides"],
      ["kandinsky extend photo.jpg --ratio 16:9", "to a shape"],
    ],
    panorama: [
      ["kandinsky panorama a mountain range at dawn --width 4096", "four windows wide"],
      ["kandinsky panorama --prompts sections.txt --width 4096 --wrap", "all around, by sections"],
    ],
    upscale: [["kandinsky upscale photo.jpg a harbour --by 2", "twice as large"]],
  },
  input: "a file that the picture was made from, where it has another place or name",
} as const;

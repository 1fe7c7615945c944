import type { Messages } from "./mod.ts";

/** Тексты команды `kandinsky evaluate`. */
export const evaluateRu: Messages["evaluate"] = {
  usage: "МОДЕЛЬ [параметры]",
  model: "папка модели, где есть subjects.json, или имя сохранённой модели",
  out: "папка для картин, report.json и index.html (по умолчанию kandinsky-evaluation); второй запуск продолжит там",
  languages: (names) => `через запятую: ${names}`,
  seeds: "картин каждого предмета на каждом языке",
  size: "размер в пикселях, например 64x64",
  count: "сколько предметов просить поодиночке, со всего списка (по умолчанию все)",
  scenes:
    "сколько сцен каждого другого вида: фоны, число, расположение, сетки, не показанные сочетания; 0 — только предметы",
  steps: "шагов очистки от шума",
  examples: [
    ["kandinsky evaluate models/nano", "всё, что знает nano, на английском и русском"],
    ["kandinsky evaluate models/nano --count 12 --scenes 12 --seeds 1", "первый взгляд"],
    ["kandinsky evaluate models/nano --languages en,de,zh --size 128x128 --out at-128", "языки и размер"],
  ],
  start: (pictures, known) => `картин ${pictures}, из них уже нарисовано ${known}`,
  drawing: "рисование",
  judging: "оценка",
  groups: {
    subject: "предмет",
    background: "фон",
    count: "число",
    relation: "расположение",
    grid: "сетка",
    "held-out background": "не показанный фон",
    "held-out pair": "не показанная пара",
  },
  columns: [
    ...["что просили", "язык", "первый", "в 5", "первый в списке", "в 5 в списке", "первый из 48"],
    ...["фон", "прочее"],
  ],
  byColour: "то же по цветовому расстоянию 16x16:",
  judge: (drawings, others, own) =>
    `судья: новые рисунки первые из 100 ${drawings}, как другой предмет ${others}; на его картинах не из обучения: ${own}`,
  grids: (medians) =>
    `сетки, медианы: период неточен на ${(100 * medians.periodError).toFixed(1)} %, середины на ${(100 * medians.residual).toFixed(1)} %, наклон ${medians.tilt.toFixed(1)} градуса`,
  all: "все",
  page: (file) => `цифры и картины: ${file}`,
  nearest: (pictures, fresh) =>
    `расстояние до ближайшей картины обучения, медиана: ${pictures}; у новых рисунков: ${fresh}`,
};

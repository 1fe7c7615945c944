/** An icon set that subjects are drawn in: a pinned npm package, and who made it under which licence. */
export interface Style {
  readonly package: string;
  readonly version: string;
  /** Subresource integrity of the package, checked by npm. */
  readonly integrity: string;
  readonly licence: string;
  readonly author: string;
  /** The style whose package says which of this one's icons shows a code, where its own does not. */
  readonly names?: string;
  /** The style word as captions say it: English, Russian, and one for all other languages. */
  readonly words: readonly [string, string, string];
}

/** Every style, by its word. `noto` and `flat` are free of share-alike and attribution clauses. */
export const STYLES = {
  noto: {
    package: "@iconify-json/noto",
    version: "1.2.9",
    integrity:
      "sha512-DQiuXENbun41ch+XPSV55H9FaWKpHTyz46YIKtSaKYD4fIDDzL1tR6H4np/T38jfrTAeI3rcKF0mqHYeZVAuaw==",
    licence: "Apache-2.0",
    author: "Google (Noto Emoji)",
    words: ["noto style", "ното стиль", "noto"],
  },
  flat: {
    package: "@iconify-json/fluent-emoji-flat",
    version: "1.2.6",
    integrity:
      "sha512-RY47RgPb47fYUiyrA64sIOL0+UU02s29sXpNBbIQRBUlPlfNFTKUmZDERGuxDs/7yNGWqQYvuaSYM1M4fRXlUw==",
    licence: "MIT",
    author: "Microsoft (Fluent Emoji)",
    words: ["flat style", "плоский стиль", "flat"],
  },
  "3d": {
    package: "@iconify-json/fluent-emoji",
    version: "1.2.7",
    integrity:
      "sha512-D8G6bKAyIsyxP1rzZtIWr/gg/fO4Rg1+DyCWlfqKK4h8W+4Em/Y0P6QYgJUQTlUcagzJvSyg+9OBv4hz4Hc/QA==",
    licence: "MIT",
    author: "Microsoft (Fluent Emoji)",
    names: "flat",
    words: ["3d style", "3d стиль", "3d"],
  },
  twemoji: {
    package: "@iconify-json/twemoji",
    version: "1.2.5",
    integrity:
      "sha512-uKpuIEV0v6K5BW3Mjdyl+XKFVAbbcPxAgifKvEMtZoUZB5+YiY5zaMm2uNNCxyXzAWU9yNLlj41WU6/mvgALsw==",
    licence: "CC-BY-4.0",
    author: "Twitter, Inc and other contributors (Twemoji)",
    words: ["twemoji style", "твемодзи стиль", "twemoji"],
  },
  outline: {
    package: "@iconify-json/openmoji",
    version: "1.2.29",
    integrity:
      "sha512-vXdhkqcXVSO6suy+m9LbcUM3OdVyuNOtpV8/als/WqfkQIRxevL5Geb/g+6GH/Qwnq1OqksEmaDGTCmZ5nFKJQ==",
    licence: "CC-BY-SA-4.0",
    author: "OpenMoji (openmoji.org)",
    words: ["outline style", "контурный стиль", "outline"],
  },
  emojione: {
    package: "@iconify-json/emojione",
    version: "1.2.3",
    integrity:
      "sha512-T9+T3HIbJNLKKsmxYKlaYhvnHYkz/HNYTV7SHCXVZPfeUi4FqskY70YeN8yYAZT8cCv7w5vJxS4Q1m8zb9CMMg==",
    licence: "CC-BY-4.0",
    author: "EmojiOne",
    names: "noto",
    words: ["emojione style", "эмодзиван стиль", "emojione"],
  },
} as const satisfies Readonly<Record<string, Style>>;

/** The word of a style. */
export type StyleName = keyof typeof STYLES;

/** Whether the word is a style. */
export function isStyle(word: string): word is StyleName {
  return Object.hasOwn(STYLES, word);
}

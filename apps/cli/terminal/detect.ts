/** How a terminal takes pictures; `none` where it takes none or nobody can tell. */
export type GraphicsProtocol = "kitty" | "iterm" | "sixel" | "none";

type Environment = Readonly<Record<string, string | undefined>>;

interface Rule {
  readonly protocol: GraphicsProtocol;
  readonly matches: (env: Environment) => boolean;
}

const named = (variable: string, pattern: RegExp) => (env: Environment) => pattern.test(env[variable] ?? "");
const has = (variable: string) => (env: Environment) => (env[variable] ?? "") !== "";

/**
 * What each terminal says about itself, the most telling first: a terminal started inside another inherits the
 * outer one's variables, but sets TERM_PROGRAM or TERM itself. No terminal is asked by an escape sequence,
 * since one that knows no answer would leave us waiting and print the question.
 */
const RULES: readonly Rule[] = [
  // Multiplexers pass pictures on only where the user set them up to; the Linux console has none.
  { protocol: "none", matches: has("TMUX") },
  { protocol: "none", matches: has("STY") },
  { protocol: "none", matches: named("TERM", /^(screen|tmux|dumb|linux)/) },
  { protocol: "kitty", matches: named("TERM_PROGRAM", /^(kitty|ghostty|WarpTerminal)$/i) },
  { protocol: "iterm", matches: named("TERM_PROGRAM", /^(iTerm\.app|WezTerm|mintty|rio|vscode)$/i) },
  { protocol: "none", matches: named("TERM_PROGRAM", /^Apple_Terminal$/) },
  { protocol: "kitty", matches: named("TERM", /^(xterm-kitty|xterm-ghostty)$/) },
  { protocol: "iterm", matches: named("TERM", /^(wezterm|mintty)/) },
  { protocol: "sixel", matches: named("TERM", /^(foot|mlterm|contour|yaft|.*-sixel$)/) },
  // xterm has sixel only where it was started as a VT340, GNOME's terminals only where it was compiled in.
  { protocol: "none", matches: has("XTERM_VERSION") },
  { protocol: "none", matches: has("VTE_VERSION") },
  { protocol: "kitty", matches: (env) => Number(env["KONSOLE_VERSION"] ?? 0) >= 220400 },
  { protocol: "kitty", matches: has("KITTY_WINDOW_ID") },
  { protocol: "kitty", matches: has("GHOSTTY_RESOURCES_DIR") },
  { protocol: "iterm", matches: has("WEZTERM_PANE") },
  // These two survive ssh, which passes LC_ variables.
  { protocol: "iterm", matches: named("LC_TERMINAL", /^(iTerm2|WezTerm)$/i) },
  // Windows Terminal shows sixel from 1.22 on and swallows it silently before.
  { protocol: "sixel", matches: has("WT_SESSION") },
];

/** The protocol of the terminal that `env` describes; `none` where the output is not a terminal. */
export function detectGraphics(env: Environment, isTTY: boolean): GraphicsProtocol {
  if (!isTTY) return "none";
  return RULES.find(({ matches }) => matches(env))?.protocol ?? "none";
}

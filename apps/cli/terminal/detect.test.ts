import { expect, test } from "vitest";
import { detectGraphics, type GraphicsProtocol } from "./detect.ts";

const XTERM = { TERM: "xterm-256color" };

const CASES: readonly (readonly [name: string, Record<string, string>, GraphicsProtocol])[] = [
  ["nothing", {}, "none"],
  ["an xterm-like terminal", XTERM, "none"],
  ["kitty", { TERM: "xterm-kitty", KITTY_WINDOW_ID: "1" }, "kitty"],
  ["kitty over ssh", { TERM: "xterm-kitty" }, "kitty"],
  ["kitty under another TERM", { ...XTERM, KITTY_WINDOW_ID: "1" }, "kitty"],
  ["Ghostty", { TERM: "xterm-ghostty", TERM_PROGRAM: "ghostty" }, "kitty"],
  ["Ghostty under another TERM", { ...XTERM, GHOSTTY_RESOURCES_DIR: "/usr/share/ghostty" }, "kitty"],
  ["Warp", { ...XTERM, TERM_PROGRAM: "WarpTerminal" }, "kitty"],
  ["Konsole 22.04", { ...XTERM, KONSOLE_VERSION: "220400" }, "kitty"],
  ["Konsole 21.12", { ...XTERM, KONSOLE_VERSION: "211203" }, "none"],
  ["iTerm2", { ...XTERM, TERM_PROGRAM: "iTerm.app" }, "iterm"],
  ["iTerm2 over ssh", { ...XTERM, LC_TERMINAL: "iTerm2" }, "iterm"],
  ["WezTerm", { ...XTERM, TERM_PROGRAM: "WezTerm", WEZTERM_PANE: "0" }, "iterm"],
  ["mintty", { TERM: "xterm", TERM_PROGRAM: "mintty" }, "iterm"],
  ["VS Code started from kitty", { ...XTERM, TERM_PROGRAM: "vscode", KITTY_WINDOW_ID: "1" }, "iterm"],
  ["foot", { TERM: "foot" }, "sixel"],
  ["foot with extras", { TERM: "foot-extra" }, "sixel"],
  ["foot started from kitty", { TERM: "foot", KITTY_WINDOW_ID: "1" }, "sixel"],
  ["mlterm", { TERM: "mlterm-256color" }, "sixel"],
  ["Windows Terminal", { WT_SESSION: "c0ffee" }, "sixel"],
  ["GNOME Terminal", { ...XTERM, VTE_VERSION: "7600" }, "none"],
  ["GNOME Terminal started from kitty", { ...XTERM, VTE_VERSION: "7600", KITTY_WINDOW_ID: "1" }, "none"],
  ["xterm started from kitty", { ...XTERM, XTERM_VERSION: "XTerm(390)", KITTY_WINDOW_ID: "1" }, "none"],
  ["Terminal of macOS", { ...XTERM, TERM_PROGRAM: "Apple_Terminal" }, "none"],
  ["tmux in kitty", { TERM: "tmux-256color", TMUX: "/run/tmux,1,0", KITTY_WINDOW_ID: "1" }, "none"],
  ["screen in iTerm2", { TERM: "screen", STY: "1.tty", TERM_PROGRAM: "iTerm.app" }, "none"],
  ["a dumb terminal", { TERM: "dumb", TERM_PROGRAM: "iTerm.app" }, "none"],
];

test("detectGraphics knows terminals by what they say of themselves", () => {
  for (const [name, env, wanted] of CASES) expect(detectGraphics(env, true), name).toBe(wanted);
});

test("detectGraphics finds none where the output is not a terminal", () => {
  for (const [name, env] of CASES) expect(detectGraphics(env, false), name).toBe("none");
});

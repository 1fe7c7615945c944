import { Command, CommanderError } from "commander";
import { KandinskyError, nearest } from "../../src/base/mod.ts";
import { COMMANDS } from "./commands.ts";
import type { Context } from "./context.ts";
import { reportError } from "./errors.ts";
import { languageOf, MESSAGES, type Messages } from "./messages/mod.ts";
import { resolveNames } from "./models/names.ts";
import { readVersion } from "./version.ts";

type Streams = Omit<Context, "language" | "text">;

/** Runs one command line, without the program's name, and returns the exit code. */
export async function runCommandLine(argv: readonly string[], world: Streams): Promise<number> {
  const { rest, wanted } = takeLanguage(argv);
  const language = languageOf(wanted, world.env);
  const context: Context = { ...world, language, text: MESSAGES[language] };
  try {
    if (wanted !== undefined && !Object.hasOwn(MESSAGES, wanted)) throw unknownLanguage(wanted);
    return await run(context, rest);
  } catch (error) {
    return reportError(context, error);
  }
}

async function run(context: Context, argv: readonly string[]): Promise<number> {
  const named = (argv[0] === "help" ? argv[1] : argv[0]) ?? "";
  const program = dress(new Command("kandinsky"), context)
    .description(context.text.help.program)
    .usage(context.text.help.programUsage)
    .version(readVersion(), "-V, --version", context.text.help.version)
    .helpCommand(false)
    .addHelpText("after", `\n${context.text.help.more}`);
  let code = 0;
  for (const [name, load] of Object.entries(COMMANDS)) {
    const summary = context.text.commands[name as keyof Messages["commands"]];
    const command = dress(program.command(name), context).summary(summary).description(summary);
    if (name !== named) continue;
    const definition = await load();
    command.optionsGroup(context.text.groups.general);
    definition.define(command, context.text);
    command.action(async () => {
      await resolveNames(context, command);
      code = await definition.run(context, command);
    });
  }
  if (argv.length === 0 || (argv[0] === "help" && argv[1] === undefined)) {
    program.outputHelp();
    return 0;
  }
  try {
    const words = argv[0] === "help" ? [named, "--help"] : argv;
    await program.parseAsync(words, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    throw wordUsage(error, program, named, context.text);
  }
  return code;
}

/** Help in the user's language, to the streams of the context; errors are thrown instead of printed. */
function dress(command: Command, { text, stdout, stderr }: Context): Command {
  const titles: Readonly<Record<string, string>> = {
    "Usage:": text.help.usage,
    "Arguments:": text.help.arguments,
    "Options:": text.help.options,
    "Commands:": text.help.commands,
  };
  return (
    command
      .helpOption("-h, --help", text.help.help)
      // Taken out of the words before commander sees them; here for the help.
      .option("--lang <code>", text.help.language)
      .exitOverride()
      .allowExcessArguments(false)
      .showSuggestionAfterError(false)
      .configureHelp({
        styleTitle: (title) => titles[title] ?? title,
        subcommandTerm: (sub) => sub.name(),
      })
      .configureOutput({
        writeOut: (words) => void stdout.write(words),
        writeErr: (words) => void stderr.write(words),
        outputError: () => {},
      })
  );
}

/** What commander found wrong, as an error of ours with the nearest name that exists. */
function wordUsage(error: CommanderError, program: Command, named: string, text: Messages): KandinskyError {
  const seen = /'([^']*)'/.exec(error.message)?.[1];
  // Written as in the usage line, which also keeps it apart from a field of a request with that name.
  const place = error.code === "commander.missingArgument" ? seen?.toUpperCase() : seen;
  const command = program.commands.find((candidate) => candidate.name() === named);
  const candidates =
    error.code === "commander.unknownCommand"
      ? program.commands.map((candidate) => candidate.name())
      : [...(command ?? program).options.flatMap(({ short, long }) => [short, long]), "--help", "--lang"];
  const isUnknown = error.code === "commander.unknownOption" || error.code === "commander.unknownCommand";
  const close = seen !== undefined && isUnknown ? closest(seen, candidates) : undefined;
  const kinds: Readonly<Record<string, string>> = {
    "commander.unknownOption": text.errors.unknownOption,
    "commander.unknownCommand": text.errors.unknownCommand,
    "commander.optionMissingArgument": text.errors.missingValue,
    "commander.missingArgument": text.errors.missingArgument,
    "commander.excessArguments": text.errors.excessArgument,
  };
  return new KandinskyError(isUnknown ? "option_unknown" : "option_invalid", {
    what: kinds[error.code] ?? `${text.errors.badLine} (${error.message})`,
    ...(place === undefined || error.code === "commander.excessArguments" ? {} : { where: place }),
    hint:
      close !== undefined
        ? text.errors.didYouMean(close)
        : text.errors.seeHelp(command === undefined ? "kandinsky" : `kandinsky ${named}`),
  });
}

/** The nearest name, or one that begins like the word. */
function closest(word: string, names: readonly (string | undefined)[]): string | undefined {
  const known = names.filter((name) => name !== undefined);
  return nearest(word, known) ?? known.find((name) => name.startsWith(word));
}

/** Takes `--lang X` out of the words, wherever it stands: it must be known before anything is said. */
function takeLanguage(argv: readonly string[]): { rest: string[]; wanted: string | undefined } {
  const rest: string[] = [];
  let wanted: string | undefined;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === "--") return { rest: [...rest, ...argv.slice(i)], wanted };
    if (word === "--lang") wanted = argv[++i] ?? "";
    else if (word.startsWith("--lang=")) wanted = word.slice("--lang=".length);
    else rest.push(word);
  }
  return { rest, wanted };
}

function unknownLanguage(seen: string): KandinskyError {
  const names = Object.keys(MESSAGES);
  return new KandinskyError("option_unknown", {
    what: "unknown language",
    where: "--lang",
    seen: JSON.stringify(seen),
    wanted: names.join(", "),
  });
}

import jsep from "jsep";
import { nearest } from "../base/mod.ts";

/** A mistake in an expression and the character at which it is, from 0. */
export interface ExpressionFault {
  readonly at: number;
  readonly seen: string;
  readonly wanted: string;
  readonly hint?: string;
}

/** A parsed expression: its value for given values of its names, or what went wrong. Nothing is ever run as code. */
export type Expression = (names: Names) => number | ExpressionFault;

/** Values of names: `t` and what else the caller knows. */
export type Names = Readonly<Record<string, number>>;

type Evaluate = (names: Names) => number;

const truth = (value: boolean) => (value ? 1 : 0);

/** Operators as numexpr has them, which Deforum's schedules are written for; comparisons give 1 or 0. */
const BINARY: Readonly<Record<string, (a: number, b: number) => number>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "**": (a, b) => a ** b,
  // The remainder has the sign of the divided number, as in C.
  "%": (a, b) => a % b,
  "/": (a, b) => a / b,
  "<": (a, b) => truth(a < b),
  "<=": (a, b) => truth(a <= b),
  ">": (a, b) => truth(a > b),
  ">=": (a, b) => truth(a >= b),
  "==": (a, b) => truth(a === b),
  "!=": (a, b) => truth(a !== b),
  "&": (a, b) => truth(a !== 0 && b !== 0),
  "|": (a, b) => truth(a !== 0 || b !== 0),
};

const UNARY: Readonly<Record<string, (a: number) => number>> = {
  "-": (a) => -a,
  "+": (a) => a,
  "~": (a) => truth(a === 0),
};

const DIVIDING: ReadonlySet<string> = new Set(["/", "%"]);

interface Callable {
  readonly count: number;
  readonly apply: (...values: number[]) => number;
}

const FUNCTIONS: Readonly<Record<string, Callable>> = {
  sin: { count: 1, apply: Math.sin },
  cos: { count: 1, apply: Math.cos },
  tan: { count: 1, apply: Math.tan },
  arcsin: { count: 1, apply: Math.asin },
  arccos: { count: 1, apply: Math.acos },
  arctan: { count: 1, apply: Math.atan },
  arctan2: { count: 2, apply: Math.atan2 },
  sinh: { count: 1, apply: Math.sinh },
  cosh: { count: 1, apply: Math.cosh },
  tanh: { count: 1, apply: Math.tanh },
  sqrt: { count: 1, apply: Math.sqrt },
  exp: { count: 1, apply: Math.exp },
  expm1: { count: 1, apply: Math.expm1 },
  log: { count: 1, apply: Math.log },
  log10: { count: 1, apply: Math.log10 },
  log1p: { count: 1, apply: Math.log1p },
  abs: { count: 1, apply: Math.abs },
  floor: { count: 1, apply: Math.floor },
  ceil: { count: 1, apply: Math.ceil },
  where: { count: 3, apply: (condition, yes, no) => (condition === 0 ? no : yes) },
};

/** Something to be told with its place; thrown only inside of this file. */
class Fault {
  readonly fault: ExpressionFault;

  constructor(at: number, seen: string, wanted: string, hint?: string) {
    this.fault = { at, seen, wanted, ...(hint === undefined ? {} : { hint }) };
  }
}

type Node = jsep.Expression & { readonly at?: number };

/** jsep's parser, which also says where each part begins and which parts stood in brackets. */
class Parser extends (jsep as unknown as { readonly Jsep: ParserClass }).Jsep {
  override gobbleToken(): Node | false | undefined {
    this.gobbleSpaces();
    const at = this.index;
    const node = super.gobbleToken();
    if (typeof node === "object") (node as { at?: number }).at ??= at;
    return node;
  }

  override gobbleGroup(): Node | undefined {
    const node = super.gobbleGroup();
    // A sign binds looser than a power unless brackets say otherwise.
    return node === undefined ? undefined : { type: "Group", node };
  }
}

interface ParserClass {
  new (text: string): ParserInstance;
}

interface ParserInstance {
  index: number;
  gobbleSpaces(): void;
  gobbleToken(): Node | false | undefined;
  gobbleGroup(): Node | undefined;
  parse(): Node;
}

/**
 * Parses an expression in numbers, `+ - * / % **`, comparisons, `& | ~`, the functions of numexpr, and `names`.
 * Returns the fault where it is none, names something unknown, or gives a function other than its arguments.
 */
export function parseExpression(text: string, names: readonly string[]): Expression | ExpressionFault {
  try {
    const evaluate = compile(parse(text), names);
    return (values) => {
      try {
        return evaluate(values);
      } catch (error) {
        if (error instanceof Fault) return error.fault;
        throw error;
      }
    };
  } catch (error) {
    if (error instanceof Fault) return error.fault;
    throw error;
  }
}

function parse(text: string): Node {
  if (text.trim() === "") throw new Fault(0, "nothing", "a number or an expression in t");
  try {
    return new Parser(text).parse();
  } catch (error) {
    if (!(error instanceof Error && "index" in error && typeof error.index === "number")) throw error;
    const said = "description" in error ? String(error.description) : error.message;
    throw new Fault(error.index, said, "an expression in t");
  }
}

type Compile = (node: Node, names: readonly string[]) => Evaluate;

const COMPILERS: Readonly<Record<string, Compile>> = {
  Group: (node, names) => compile(node["node"] as Node, names),
  Literal: (node) => {
    const { value } = node as jsep.Literal;
    if (typeof value !== "number") throw new Fault(node.at ?? 0, String(node["raw"]), "a number");
    return () => value;
  },
  Identifier: (node, names) => {
    const { name } = node as jsep.Identifier;
    if (!names.includes(name)) throw unknown(node, name, names);
    return (values) => values[name]!;
  },
  UnaryExpression: (node, names) => {
    const { operator, argument } = node as jsep.UnaryExpression;
    const apply = UNARY[operator];
    if (apply === undefined) throw new Fault(node.at ?? 0, operator, "an operator of Deforum");
    const inner = compile(argument, names);
    return (values) => apply(inner(values));
  },
  BinaryExpression: (node, names) => {
    const { operator, left, right } = node as jsep.BinaryExpression;
    if (operator === "**" && left.type === "UnaryExpression") {
      const { operator: sign, argument } = left as jsep.UnaryExpression;
      const power = { ...node, left: argument };
      return compile({ ...left, type: "UnaryExpression", operator: sign, argument: power }, names);
    }
    const apply = BINARY[operator];
    const place = (left as Node).at ?? node.at ?? 0;
    if (apply === undefined) throw new Fault(place, operator, Object.keys(BINARY).join(" "));
    const [a, b] = [compile(left, names), compile(right, names)];
    const at = startOf(right);
    if (!DIVIDING.has(operator)) return (values) => apply(a(values), b(values));
    return (values) => {
      const divisor = b(values);
      if (divisor === 0) throw new Fault(at, "a division by zero", "a divisor other than 0");
      return apply(a(values), divisor);
    };
  },
  CallExpression: (node, names) => {
    const { callee, arguments: given } = node as jsep.CallExpression;
    const name = callee.type === "Identifier" ? (callee as jsep.Identifier).name : "";
    const known = Object.hasOwn(FUNCTIONS, name) ? FUNCTIONS[name] : undefined;
    if (known === undefined) throw unknown(node, name, Object.keys(FUNCTIONS));
    const { count, apply } = known;
    if (given.length !== count) {
      throw new Fault(startOf(node), `${name} of ${given.length}`, `${name} of ${count}`);
    }
    const inner = given.map((argument) => compile(argument, names));
    return (values) => apply(...inner.map((evaluate) => evaluate(values)));
  },
};

const compile: Compile = (node, names) => {
  const compiler = Object.hasOwn(COMPILERS, node.type) ? COMPILERS[node.type] : undefined;
  if (compiler !== undefined) return compiler(node, names);
  const second = node.type === "Compound" ? (node as jsep.Compound).body[1] : undefined;
  const seen = second === undefined ? node.type : "something behind the expression";
  throw new Fault(startOf(second ?? node), seen, "one expression of numbers, names, operators and functions");
};

/** Where a part begins: an operation begins with its first operand. */
function startOf(node: Node): number {
  if (node.at !== undefined) return node.at;
  const first = (node["left"] ?? node["callee"] ?? node["object"]) as Node | undefined;
  return first === undefined ? 0 : startOf(first);
}

function unknown(node: Node, name: string, names: readonly string[]): Fault {
  const close = nearest(name, names);
  const hint = close === undefined ? undefined : `did you mean ${close}?`;
  return new Fault(startOf(node), JSON.stringify(name), names.join(", "), hint);
}

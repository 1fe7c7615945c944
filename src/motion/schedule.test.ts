import { expect, test } from "vitest";
import { parseExpression } from "./expression.ts";
import { parseSchedule } from "./schedule.ts";

const at = (text: string, t = 0): unknown => {
  const expression = parseExpression(text, ["t"]);
  return typeof expression === "function" ? expression({ t }) : expression;
};

function schedule(text: string | number, frames: number, range?: readonly [number, number]): number[] {
  return [...parseSchedule(text, { frames, frameRate: 24, name: "zoom", ...(range && { range }) })];
}

test.each([
  ["1+0.02*sin(t/8)", 1 + 0.02 * Math.sin(5 / 8)],
  ["-t**2", -25],
  ["(-t)**2", 25],
  ["2**-1", 0.5],
  ["2**3**2", 512],
  ["-2**-2", -0.25],
  ["where(t<3, 1, where(t>=5, 2, 3))", 2],
  ["(t==5)&(t!=4)", 1],
  ["(t<5)|(t>9)", 0],
  ["7%3 - -1", 2],
  ["-7%3", -1],
  ["arctan2(1, 1)*4", Math.PI],
  ["sqrt(abs(-16))+log(exp(2))", 6],
  [".5*t", 2.5],
  ["1e-2", 0.01],
])("parseExpression: %s is as numexpr has it", (text, wanted) => {
  const value = at(text, 5);
  expect(typeof value === "number" && Math.abs(value - wanted), `${value} for ${wanted}`).toBeLessThan(1e-14);
});

test.each([
  ["sin(tt/8)", 4, '"tt"'],
  ["1+snin(t)", 2, '"snin"'],
  ["t.constructor", 0, "MemberExpression"],
  ["sin.constructor(t)", 0, '""'],
  ["constructor", 0, '"constructor"'],
  ["toString(t)", 0, '"toString"'],
  ["'a'", 0, "'a'"],
  ["2*(t+", 5, ""],
  ["t t", 2, "something behind the expression"],
  ["t?1:2", 0, "ConditionalExpression"],
  ["sin(t, 2)", 0, "sin of 2"],
  ["", 0, "nothing"],
  ["t=1", 1, ""],
  ["t<<2", 0, "<<"],
  ["[1]", 0, "ArrayExpression"],
  ["true", 0, "true"],
  ["this", 0, "ThisExpression"],
])("parseExpression points at the mistake in %j", (text, place, seen) => {
  expect(at(text)).toMatchObject({ at: place, seen: expect.stringContaining(seen) });
});

test("parseExpression: dividing by zero is told with the divisor's place, only where it happens", () => {
  expect(at("1+2/(t-5)", 4)).toBe(-1);
  expect(at("1+2/(t-5)", 5)).toMatchObject({ at: 4, seen: "a division by zero" });
  expect(at("t%(t-t)", 5)).toMatchObject({ at: 2 });
});

test("parseSchedule: lines between numbers, level outside, expressions from their key to the next", () => {
  expect(schedule("0: (1), 4: (3)", 7)).toEqual([1, 1.5, 2, 2.5, 3, 3, 3]);
  expect(schedule("2:(1), 4:(3),", 6)).toEqual([1, 1, 1, 2, 3, 3]);
  expect(schedule("0:(t), 3:(10)", 6)).toEqual([0, 1, 2, 10, 10, 10]);
  expect(schedule("0:(1), 3:(t*10)", 6)).toEqual([1, 10.666666666666666, 20.333333333333332, 30, 40, 50]);
  expect(schedule("0: (1+(2*(t))), 2: (-.5)", 4)).toEqual([1, 3, -0.5, -0.5]);
  expect(schedule(" 0:(t/max_f+fps) ", 3)).toEqual([24, 24.5, 25]);
  expect(schedule("t*2", 3)).toEqual([0, 2, 4]);
  expect(schedule(1.5, 2)).toEqual([1.5, 1.5]);
  expect(schedule("9: (t), 12: (0)", 2)).toEqual([9, 9]);
});

test.each([
  ["0: (1), 9: (2), 4: (3)", "character 17", "frame 4 behind frame 9"],
  ["0: (1), 0: (3)", "character 9", "frame 0 behind frame 0"],
  ["0: (1) 4: (3)", "character 7", '" 4: (3)"'],
  ["0: 1", "character 1", '"0: 1"'],
  ["0: (1", "character 4", "a bracket that is not closed"],
  ["0: (1), 5: (sin(tt))", "character 17", '"tt" at "tt))"'],
  ["0: (1), 2: (1/(t-3))", "character 15, frame 3", "a division by zero"],
  ["0: (1), 2: (log(t-3))", "character 13, frame 2", "NaN"],
  ["0: ()", "character 5", "nothing"],
  ["0: (1), banana", "character 9", '"banana"'],
])("parseSchedule points at the mistake in %j", (text, where, seen) => {
  expect(() => schedule(text, 8)).toThrowError(
    expect.objectContaining({
      code: "option_invalid",
      parts: expect.objectContaining({
        where: expect.stringContaining(where),
        seen: expect.stringContaining(seen),
      }),
    }),
  );
});

test("parseSchedule holds values to their range", () => {
  expect(schedule("0:(0), 2:(1)", 3, [0, 1])).toEqual([0, 0.5, 1]);
  expect(() => schedule("0:(0), 2:(1.5)", 3, [0, 1])).toThrowError(/frame 2: seen 1.5 .*wanted 0 to 1/);
});

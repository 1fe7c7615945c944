import { expect, test } from "vitest";
import { findJsonHazard } from "./json.ts";

test("findJsonHazard passes equal keys in different objects and equal values", () => {
  expect(findJsonHazard('{"a":{"x":1},"b":{"x":1},"c":["a","a","x"]}', 3)).toBeUndefined();
});

test("findJsonHazard finds a repeated key, escaped or after a colon in a string", () => {
  expect(findJsonHazard('{"a":1,"a":2}', 3)).toContain('"a" twice');
  expect(findJsonHazard('{"a":1,"\\u0061" : 2}', 3)).toContain('"a" twice');
  expect(findJsonHazard('{"q\\"":":","q\\"":1}', 3)).toContain("twice");
});

test("findJsonHazard finds repeated keys that are names of Object's own", () => {
  expect(findJsonHazard('{"__proto__":1,"__proto__":2}', 3)).toContain("twice");
  expect(findJsonHazard('{"constructor":1,"toString":2}', 3)).toBeUndefined();
});

test("findJsonHazard stops at the depth limit, whatever follows", () => {
  expect(findJsonHazard("[".repeat(1_000_000), 3)).toContain("nested");
  expect(findJsonHazard('{"a":{"b":[1]}}', 3)).toBeUndefined();
});

test("findJsonHazard leaves broken text to the parser", () => {
  expect(findJsonHazard('{"a', 3)).toBeUndefined();
  expect(findJsonHazard('{"a\\', 3)).toBeUndefined();
  expect(findJsonHazard('"a":1,"a":2}]', 3)).toBeUndefined();
});

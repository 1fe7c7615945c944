import { expect, test } from "vitest";
import { threefry2x32, type Words } from "./threefry.ts";

// Known answers of the authors' Random123 library, file kat_vectors, "threefry2x32 20".
const KNOWN: readonly { counter: Words; key: Words; answer: Words }[] = [
  { counter: [0, 0], key: [0, 0], answer: [0x6b200159, 0x99ba4efe] },
  {
    counter: [0xffffffff, 0xffffffff],
    key: [0xffffffff, 0xffffffff],
    answer: [0x1cb996fc, 0xbb002be7],
  },
  {
    counter: [0x243f6a88, 0x85a308d3],
    key: [0x13198a2e, 0x03707344],
    answer: [0xc4923a9c, 0x483df7a0],
  },
];

test("threefry2x32 gives the authors' known answers", () => {
  for (const { counter, key, answer } of KNOWN) expect(threefry2x32(key, counter)).toEqual(answer);
});

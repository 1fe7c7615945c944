import { expect, test } from "vitest";
import { pieces } from "./communicator.ts";

test("pieces covers a length without gaps", () => {
  expect(pieces(10, 4)).toEqual([
    [0, 4],
    [4, 8],
    [8, 10],
  ]);
  expect([pieces(0, 4), pieces(4, 4)]).toEqual([[], [[0, 4]]]);
});

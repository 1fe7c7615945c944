import { expect, test } from "vitest";
import { licenceOf, licenceOfCard } from "./licence.ts";

test("licenceOf reads what model cards state, on one line", () => {
  expect(licenceOf({ license: "apache-2.0" })).toEqual({ name: "apache-2.0" });
  expect(licenceOf({ license: ["mit", "apache-2.0"] })).toEqual({ name: "mit, apache-2.0" });
  expect(licenceOf({ license: "other", license_name: "my-own", license_link: "LICENSE" })).toEqual({
    name: "my-own",
    link: "LICENSE",
  });
  expect(licenceOf({ license: "a\u001b[31m\nb" })).toEqual({ name: "a [31m b" });
  for (const card of [undefined, null, 5, {}, { license: 7 }, { license: "" }])
    expect(licenceOf(card)).toEqual({ name: "not stated" });
});

test("licenceOfCard reads the head of a README", () => {
  expect(licenceOfCard('---\nlicense: "other"\nlicense_name: mine\r\ntags: [a]\n---\nlicense: no')).toEqual({
    name: "mine",
  });
  expect(licenceOfCard("# no head\nlicense: mit")).toEqual({ name: "not stated" });
});

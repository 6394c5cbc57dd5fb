import { describe, expect, test } from "vitest";
import type { Frame } from "./wire";
import { unpack } from "./wire";
import file from "./testdata/frame.json";

interface Golden {
  readonly frame: Frame;
  readonly changes: readonly { customer: number; rate: number; silent: boolean; time: number; since?: number }[];
}

// The server's tests write this file: both sides hold to it.
const golden: Golden = file;

describe("unpack", () => {
  test("reads what the server writes", () => {
    const got: unknown[] = [];
    unpack(golden.frame.c, golden.frame.t, (customer, rate, silent, time, since) =>
      got.push({ customer, rate, silent, time, ...(since === undefined ? {} : { since }) }));
    expect(got).toEqual(golden.changes);
  });

  test("reads an empty frame", () => {
    unpack("", 0, () => expect.unreachable());
  });
});

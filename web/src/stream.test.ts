import { expect, test } from "vitest";
import { parse } from "./stream";

async function events(...chunks: readonly string[]): Promise<string[]> {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(encoder.encode(chunk));
      controller.close();
    },
  });
  const got: string[] = [];
  for await (const event of parse(body, () => {})) got.push(`${event.id}|${event.name}|${event.data}`);
  return got;
}

const text = "event: hello\ndata: {\"a\":1}\n\n: still here\n\nid: x.1.2\nevent: frame\ndata: {}\n\n";

test("reads events and skips comments", async () => {
  expect(await events(text)).toEqual(["|hello|{\"a\":1}", "x.1.2|frame|{}"]);
});

test("does not care where the network cuts", async () => {
  const whole = await events(text);
  for (let cut = 1; cut < text.length; cut++) expect(await events(text.slice(0, cut), text.slice(cut))).toEqual(whole);
  expect(await events(...text)).toEqual(whole);
});

test("leaves out an event that was cut off", async () => {
  expect(await events(text + "event: frame\ndata: {\"half\"")).toHaveLength(2);
});

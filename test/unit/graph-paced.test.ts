// Readers that share one pace: requests in flight, their order, and the effect of throttling on waiting requests.
import { expect, test } from 'vitest';
import { openPacer } from '../../src/graph/paced.ts';
import type { GraphReader, OnWait } from '../../src/graph/reader.ts';
import { openReader } from './nock-graph.ts';

type Asked = { url: string; answer: () => void; fail: (error: Error) => void; wait: OnWait };

/** Makes a reader whose requests wait until the test answers them. */
function heldReader(): { reader: GraphReader; asked: Asked[] } {
  const asked: Asked[] = [];
  const getJson: GraphReader['getJson'] = (url, { onWait = () => {} }) =>
    new Promise((resolve, reject) => {
      asked.push({ url, answer: () => resolve(url as never), fail: reject, wait: onWait });
    });
  return { reader: { ...openReader().reader, getJson }, asked };
}

const page = { carriedToken: false, parse: (body: unknown) => body as string };
const settle = () => new Promise((resolve) => setImmediate(resolve));
const urls = (asked: Asked[]) => asked.map(({ url }) => url);
const throttling = { stream: null, reason: '429', throttled: true, waitMs: 0, attempt: 1, retries: 5, requestId: null };

test('six requests start at once, the others in order, for all readers together', async () => {
  const { reader, asked } = heldReader();
  const lane = openPacer(new AbortController().signal, () => 0);
  const [one, other] = [lane(reader), lane(reader)];
  const answers = Array.from({ length: 9 }, (_, index) => (index % 2 ? one : other).getJson(`${index}`, page));
  await settle();
  expect(urls(asked)).toEqual(['0', '1', '2', '3', '4', '5']);
  asked[3]?.answer();
  await settle();
  expect(urls(asked)).toEqual(['0', '1', '2', '3', '4', '5', '6']);
  for (let index = 0; index < 9; index += 1) {
    asked[index]?.answer();
    await settle();
  }
  expect(await Promise.all(answers)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8']);
});

test('after throttling only half as many are sent, and none before the requested time', async () => {
  let now = 0;
  const { reader, asked } = heldReader();
  const paced = openPacer(new AbortController().signal, () => now)(reader);
  const answers = Array.from({ length: 8 }, (_, index) => paced.getJson(`${index}`, page));
  await settle();
  now = 5;
  asked[0]?.wait({ ...throttling, waitMs: 20 });
  for (const one of asked.slice(0, 6)) one.answer();
  await settle();
  expect(asked.length).toBe(6);
  now = 26;
  // Its own timer, which is a real one, wakes the pacer.
  await expect.poll(() => asked.length).toBe(8);
  for (const one of asked) one.answer();
  await Promise.all(answers);
});

test('a failed request gives its place back', async () => {
  const { reader, asked } = heldReader();
  const paced = openPacer(new AbortController().signal, () => 0)(reader);
  const answers = Array.from({ length: 7 }, (_, index) => paced.getJson(`${index}`, page));
  await settle();
  asked[0]?.fail(new Error('down'));
  await expect(answers[0]).rejects.toThrow('down');
  await settle();
  expect(asked.length).toBe(7);
  for (const one of asked) one.answer();
  await Promise.all(answers.slice(1));
});

test('a waiting request ends with the reason of the signal, and is never sent', async () => {
  const { reader, asked } = heldReader();
  const stop = new AbortController();
  const paced = openPacer(stop.signal, () => 0)(reader);
  const answers = Array.from({ length: 9 }, (_, index) => paced.getJson(`${index}`, page));
  await settle();
  stop.abort(new Error('stopped'));
  for (const one of answers.slice(6)) await expect(one).rejects.toThrow('stopped');
  expect(asked.length).toBe(6);
  for (const one of asked) one.answer();
  await Promise.all(answers.slice(0, 6));
});

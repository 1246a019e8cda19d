// The time for which a worker stands still: it counts only while there is work, and restarts with each sign of life.
import { expect, test } from 'vitest';
import { openStall } from '../../src/worker/stall.ts';

function openClock() {
  let ms = 0;
  const stall = openStall(() => ms);
  return {
    stall,
    after: (seconds: number) => {
      ms += seconds * 1000;
      return stall.seconds();
    },
  };
}

test('a worker with nothing to do does not stand still', () => {
  const { stall, after } = openClock();
  expect(after(100_000)).toBe(0);
  stall.queued(false);
  expect(after(100_000)).toBe(0);
});

test('a cycle without progress counts, and its progress or end restarts the count', () => {
  const { stall, after } = openClock();
  const end = stall.begin();
  expect(after(600)).toBe(600);
  stall.progress();
  expect(after(30)).toBe(30);
  end();
  expect(after(1_000)).toBe(0);
});

test('the end of one cycle is a sign of life for the others', () => {
  const { stall, after } = openClock();
  const [hanging, other] = [stall.begin(), stall.begin()];
  after(500);
  other();
  expect(after(20)).toBe(20);
  hanging();
  expect(after(20)).toBe(0);
});

test('jobs that wait in the queue count while this worker takes none', () => {
  const { stall, after } = openClock();
  stall.queued(true);
  after(15);
  stall.queued(true);
  expect(after(15)).toBe(30);
  const end = stall.begin();
  expect(after(5)).toBe(35);
  end();
  expect(after(5)).toBe(5);
  stall.queued(false);
  expect(after(5)).toBe(0);
});

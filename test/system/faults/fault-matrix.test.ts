// The fault matrix: every bad day of Graph × users and groups × first, middle, last page × full and later round, over real
// sockets (rules 12, 13, 14, 15, 16 and 18); `npm test` takes one of the twelve cases of every second fault, the deep run all. Each case says what comes out; afterwards one cycle reaches the tenant's truth.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Chain, casesOf, startChain } from '../../support/fault-matrix.ts';
import { knowOwnHosts } from '../../support/fault-strikes.ts';
import { faults } from '../../support/faults.ts';

const atOnce = 9;
const chains = new Map<number, Chain>();
let forget = () => {};

beforeAll(() => {
  forget = knowOwnHosts();
});

// Cases start a few at a time, ahead of their tests, so that one case works while another waits.
function chainOf(number: number): Chain {
  for (let ahead = number; ahead < number + atOnce; ahead += 1) {
    const fault = faults[ahead];
    if (fault && casesOf(ahead).length > 0 && !chains.has(ahead)) chains.set(ahead, startChain(fault, casesOf(ahead)));
  }
  return chains.get(number) ?? expect.unreachable('no such fault');
}

afterAll(async () => {
  await Promise.all([...chains.values()].map(({ ended }) => ended));
  forget();
});

const shown = faults
  .map((fault, number) => ({ name: fault.name, number }))
  .filter(({ number }) => casesOf(number).length > 0);

describe.each(shown)('$name', ({ number }) => {
  test.each(casesOf(number).map((at, index) => ({ ...at, index })))(
    '$round round, $stream, $place page',
    ({ index }) => chainOf(number).results[index],
  );
});

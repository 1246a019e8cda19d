// The next try after a round was stopped, row by row, and that no cycle tries for ever (rules 14, 15 and 17).
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type NextTry, nextTry, type Once, type Stopped } from '../../src/rules/restart.ts';

const stopped = (failure: Stopped['failure'], more: Partial<Stopped> = {}): Stopped => ({
  ...{ failure, kind: 'incremental', pages: 3, keptLink: false, pulled: false, ofThisGraph: true },
  ...{ dryRun: false, resync: false, before: { checkpoint: 0, round: 0 } },
  ...more,
});
const never: readonly Once[] = [];
const restart: NextTry = { once: 'restart', next: 'restart', reason: undefined, ifAnswers: undefined };
const fullReason = (reason: 'token_expired' | 'checkpoint_refused'): NextTry => ({
  ...{ once: 'full_round', next: 'full_round', reason },
  ifAnswers: reason === 'checkpoint_refused' ? 'first_url' : undefined,
});
const keptLinkFails = stopped('link_failed', { keptLink: true, before: { checkpoint: 1, round: 0 } });
const failsAgain = { before: { checkpoint: 1, round: 0 } };

describe('rules 14, 15 and 17: the next try', () => {
  test.each<[string, Stopped, readonly Once[], NextTry | 'give_up']>([
    ['a link dies after pages', stopped('dead_token'), never, restart],
    ['the checkpoint is dead', stopped('dead_token', { pages: 0 }), never, fullReason('token_expired')],
    ['a link dies again in the restarted round', stopped('dead_token'), ['restart'], fullReason('token_expired')],
    ['a link of a full round dies again', stopped('dead_token', { kind: 'full' }), ['restart'], 'give_up'],
    ['every link is dead', stopped('dead_token'), ['restart', 'full_round'], 'give_up'],
    ['the settings change', stopped('settings_changed'), never, { ...restart, once: 'new_settings' }],
    ['the settings change twice', stopped('settings_changed'), ['new_settings'], 'give_up'],
    ['a kept link is refused', stopped('link_refused', { keptLink: true }), never, restart],
    ['a kept link is refused in a dry run', stopped('link_refused', { keptLink: true, dryRun: true }), never, restart],
    ['a fresh link is refused', stopped('link_refused'), never, 'give_up'],
    ['a kept link fails once', stopped('link_failed', { keptLink: true }), never, 'give_up'],
    ['a kept link fails in the second cycle', keptLinkFails, never, { ...restart, ifAnswers: 'start' }],
    ['no other link answers', keptLinkFails, ['restart'], fullReason('checkpoint_refused')],
    ['no link answers at all', keptLinkFails, ['restart', 'full_round'], 'give_up'],
    ['a kept link of a full round fails in the second cycle', { ...keptLinkFails, kind: 'full' }, never, 'give_up'],
    [
      'a kept link of a full round fails in the third cycle',
      { ...keptLinkFails, kind: 'full', before: { checkpoint: 0, round: 2 } },
      never,
      { ...restart, ifAnswers: 'start' },
    ],
    [
      'an operator asks for a full round that failed once',
      { ...keptLinkFails, kind: 'full', resync: true, before: { checkpoint: 0, round: 1 } },
      never,
      { ...restart, ifAnswers: 'start' },
    ],
    ['the checkpoint fails once', stopped('link_failed', { pages: 0 }), never, 'give_up'],
    [
      'the checkpoint fails in the second cycle',
      stopped('link_failed', { pages: 0, ...failsAgain }),
      never,
      fullReason('checkpoint_refused'),
    ],
    ['the same in a dry run', stopped('link_failed', { ...failsAgain, dryRun: true }), never, 'give_up'],
    ['the same at another Graph', stopped('link_failed', { ...failsAgain, ofThisGraph: false }), never, 'give_up'],
    ['every page is staged', stopped('link_failed', { ...failsAgain, pulled: true }), never, 'give_up'],
    ['a failure of another kind', stopped('other', { keptLink: true, ...failsAgain }), never, 'give_up'],
  ])('%s', (_, failed, tried, expected) => {
    expect(nextTry(failed, new Set(tried))).toEqual(expected);
  });

  const anyStopped = fc.record<Stopped>({
    failure: fc.constantFrom('dead_token', 'settings_changed', 'link_refused', 'link_failed', 'other'),
    kind: fc.constantFrom('incremental', 'full'),
    pages: fc.nat(3),
    ...{ keptLink: fc.boolean(), pulled: fc.boolean(), ofThisGraph: fc.boolean() },
    ...{ dryRun: fc.boolean(), resync: fc.boolean() },
    before: fc.record({ checkpoint: fc.nat(3), round: fc.nat(3) }),
  });

  test('whatever fails, a cycle gives up after three tries at the most', () => {
    fc.assert(
      fc.property(fc.array(anyStopped, { minLength: 4, maxLength: 8 }), (failures) => {
        const tried = new Set<Once>();
        const made = failures.flatMap((failed) => {
          const next = nextTry(failed, tried);
          if (next !== 'give_up') tried.add(next.once);
          return next === 'give_up' ? [] : next;
        });
        expect(made.length).toBeLessThanOrEqual(3);
      }),
    );
  });

  test('a link of another Graph, and a failure that Graph did not cause, never lead to a full round', () => {
    fc.assert(
      fc.property(anyStopped, (failed) => {
        const next = nextTry(failed, new Set());
        const isOurs = failed.failure === 'other' || (failed.failure !== 'dead_token' && !failed.ofThisGraph);
        expect(isOurs && next !== 'give_up' && next.next === 'full_round').toBe(false);
      }),
    );
  });
});

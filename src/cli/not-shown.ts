// The gaps of a tenant's copy that is not read whole yet, in words: before its first full rounds, and after a round that began earlier.
import { type Stream, streams } from '../rules/streams.ts';
import type { FirstLoadState } from '../store/tenants/status.ts';
import { count, plural, when } from './format.ts';

const shownOf: Readonly<Record<Stream, string>> = { users: 'users', groups: 'groups and memberships' };

/** Returns what a cycle does not show yet because a committed round of it began in an earlier one; undefined if none did. */
export function describeOlderRounds(
  begun: Readonly<Partial<Record<Stream, string | undefined>>>,
  now: Date = new Date(),
): string | undefined {
  const older = streams.flatMap((stream) => {
    const time = begun[stream];
    return time === undefined ? [] : [`${shownOf[stream]} as of ${time} (${when(new Date(time), now)})`];
  });
  if (older.length === 0) return undefined;
  return `${older.join(', ')}, when the round began that this cycle finished: what has changed since may not be shown before the next cycle`;
}

/** Returns what a provisional tenant does not show yet, and until when. */
export function describeFirstLoad(state: Readonly<Record<Stream, FirstLoadState>>): string {
  const waiting = streams.filter((stream) => !state[stream].done);
  const unread = waiting.reduce((sum, stream) => sum + state[stream].unread, 0);
  const pages = waiting.reduce((sum, stream) => sum + state[stream].pages, 0);
  const left =
    unread > 0 ? [`${count(unread)} users, groups or member lists that the listing could not read are missing`] : [];
  return [
    `provisional: ${waiting.map((stream) => describeStream(stream, state[stream])).join(', ')}`,
    ...left,
    `what has changed since may be missing, and what was deleted may still be shown, until the first full round is committed (${plural(pages, 'page')} read)`,
  ].join('; ');
}

function describeStream(stream: Stream, { listing, shown, lists_left: left }: FirstLoadState): string {
  const what = shownOf[stream];
  if (listing && left > 0) return `${what} are not shown yet (the members of ${plural(left, 'group')} are not read)`;
  if (listing) return `${what} are not shown yet (they are being listed)`;
  return shown ? `${what} come from a quick listing` : `${what} are not shown yet (they could not be listed)`;
}

// Changes in words, as the console tells them.
import { expect, test } from 'vitest';
import { difference, happened } from '../../src/web/console/change-words.ts';

test.each([
  [null, 'a', 'has a photo'],
  ['a', 'b', 'has another photo'],
  ['a', null, 'has no photo any more'],
])('a photo that was %s and is %s is told in words, without its hash', (was, is, words) => {
  const change = {
    ...{ kind: 'account.photo_changed', group_name: null },
    ...{ before: { photo: was }, after: { photo: is } },
  };
  expect(happened(change)).toBe(words);
  expect(difference(change, { labels: new Map(), slots: new Map(), items: new Map() } as never).html).toBe('');
});

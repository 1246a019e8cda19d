// The number of pages that one person may ask for in a minute.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isDeep } from '../support/deep.ts';
import { tenantWith } from '../support/people-edit.ts';
import { openWeb, ops } from '../support/web.ts';

let web: Awaited<ReturnType<typeof openWeb>>;

beforeAll(async () => {
  web = await openWeb();
});

afterAll(() => web.close());

test.runIf(isDeep)(
  'one person has 300 pages a minute, by all sessions together; another person at the same address goes on',
  async () => {
    const person = { ...ops('read'), actor: `entra:${randomUUID()}/${randomUUID()}` };
    const sessions = [await web.browser(person), await web.browser(person)];
    const other = await web.browser(ops('read'));
    const statuses: number[] = [];
    for (let asked = 0; asked < 302; asked += 1) {
      const answer = await sessions[asked % 2]?.get('/console/find');
      statuses.push(answer?.status ?? 0);
      if (answer?.status === 429) expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    }
    expect(statuses.slice(0, 300).every((status) => status === 200)).toBe(true);
    expect(statuses.slice(300)).toEqual([429, 429]);
    expect((await other.get('/console')).status).toBe(200);
  },
);

test.runIf(isDeep)('the photos of a list take no page from the person who looks at it', async () => {
  const browser = await web.browser(ops('act'));
  const photo = `/console/t/${randomUUID()}/people/${randomUUID()}/photo`;
  const statuses = new Set<number>();
  // More than the pages that one person, and one address, may ask for.
  for (let lot = 0; lot < 14; lot += 1)
    for (const { status } of await Promise.all(Array.from({ length: 50 }, () => browser.get(photo))))
      statuses.add(status);
  expect([...statuses]).toEqual([404]);
  expect((await browser.get('/console/find')).status).toBe(200);
});

test('a reason with characters that no text has is kept without them', async () => {
  const browser = await web.browser(ops('read'));
  const tenant = await tenantWith(web.store, {});
  const sent = await browser.post(`/console/t/${tenant}/reason`, { reason: 'ticket\0 4711', to: '' });
  expect(sent.status).toBe(303);
});

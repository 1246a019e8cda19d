// Lists as CSV: streamed lot by lot, harmless in a spreadsheet, and told in the audit before a row is sent.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { rows } from '../../src/store/database/pool.ts';
import { access, type Route } from '../../src/web/access.ts';
import { download } from '../../src/web/download.ts';
import { isDeep } from '../support/deep.ts';
import { tenantWith } from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';
import { openWeb, ops } from '../support/web.ts';

const path = 'GET /test/t/:tenant/numbers.csv';
Object.assign(access, { [path]: ['ops_read', 'admin'] });

let lots: number[] = [];

type Row = { n: number };
const numbers = download<{ count: z.ZodType<number>; wait: z.ZodType<number> }, Row>({
  route: path as Route,
  query: { count: z.coerce.number().int(), wait: z.coerce.number().int() },
  name: 'numbers',
  asksReason: true,
  columns: [
    { title: 'number', of: ({ n }) => String(n) },
    { title: 'text', of: ({ n }) => (n === 1 ? '=1+1' : n === 2 ? 'a "b", c' : null) },
    { title: 'phone', phone: true, of: ({ n }) => (n === 1 ? '+49 30 123' : n === 2 ? '+cmd|x' : null) },
  ],
  lot: async (read, { query }, after, limit) => {
    lots.push(limit);
    if (query.wait) await rows(read, 'select pg_sleep(:wait)', { wait: query.wait });
    if (query.count === 404) return undefined;
    return rows<Row>(read, 'select n from generate_series(:first::int, :count::int) n limit :limit', {
      ...{ first: (after?.n ?? 0) + 1, count: query.count ?? 0, limit },
    });
  },
  audit: ({ query }) => ({ act: 'numbers.exported', detail: { count: query.count } }),
});

let web: Awaited<ReturnType<typeof openWeb>>;
let tenant: string;

beforeAll(async () => {
  web = await openWeb([numbers]);
  tenant = await tenantWith(web.store, {});
});

afterAll(async () => {
  delete (access as Record<string, unknown>)[path];
  await web.close();
});

const admin = () => web.browser({ tenantId: tenant, objectId: randomUUID(), directoryRole: 'admin' });
const audit = () =>
  ask<{ act: string; tenant_id: string }>(web.store, 'select act, tenant_id from directory.audit order by audit_id');

test('has its columns, and no cell that a spreadsheet runs; phone numbers keep their plus', async () => {
  const { status, text, headers } = await (await admin()).get(`/test/t/${tenant}/numbers.csv?count=3`);
  expect(status).toBe(200);
  expect(headers.get('content-type')).toBe('text/csv; charset=utf-8');
  expect(headers.get('content-disposition')).toBe('attachment; filename="numbers.csv"');
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  // fetch takes the byte order mark away.
  expect(text.split('\r\n')).toEqual([
    'number,text,phone',
    `1,"'=1+1",+49 30 123`,
    `2,"a ""b"", c","'+cmd|x"`,
    '3,,',
    '',
  ]);
  expect(await audit()).toEqual([{ act: 'numbers.exported', tenant_id: tenant }]);
});

test.runIf(isDeep)('is read in lots, and ends at 100,000 rows', async () => {
  lots = [];
  const { text } = await (await admin()).get(`/test/t/${tenant}/numbers.csv?count=2500`);
  expect([text.split('\r\n').length - 2, lots]).toEqual([2_500, [1_000, 1_000, 1_000]]);
  lots = [];
  const long = await (await admin()).get(`/test/t/${tenant}/numbers.csv?count=100500`);
  const lines = long.text.trimEnd().split('\r\n');
  expect([lines.length - 1, lines.at(-1), lots.length]).toEqual([100_000, '100000,,', 100]);
});

test('is a 404 elsewhere, asks ops for a reason first, and says that it takes too long', async () => {
  const other = await tenantWith(web.store, {});
  const browser = await admin();
  const before = await audit();
  expect((await browser.get(`/test/t/${other}/numbers.csv?count=1`)).status).toBe(404);
  expect((await browser.get(`/test/t/${tenant}/numbers.csv?count=404`)).status).toBe(404);
  expect((await web.with().get(`/test/t/${tenant}/numbers.csv?count=1`)).status).toBe(401);
  const vendor = await web.browser(ops('read'));
  const asked = await vendor.get(`/test/t/${tenant}/numbers.csv?count=1`);
  expect(asked.text).toContain(`Why do you look at people of ${tenant}?`);
  const slow = await browser.get(`/test/t/${tenant}/numbers.csv?count=1&wait=20`);
  expect([slow.status, /This takes too long/.test(slow.text)]).toEqual([503, true]);
  const lines = (await audit()).slice(before.length);
  expect(lines.filter(({ act }) => act === 'numbers.exported')).toEqual([]);
});

// DATABASE_URL is read as libpq reads it, or refused in one line with a cure and without the password.
import { expect, test } from 'vitest';
import { filesOfUrl, problemOfUrl, tlsOfUrl, urlWithoutTls } from '../../src/rules/database-url.ts';

const url = (query: string) => `postgres://user:secret@db.example.com:5432/app${query}`;

test.each([
  'postgres://localhost/app',
  'postgresql://user:p%40ss@[::1]:5432/app?application_name=x',
  url(''),
  url('?sslmode=disable'),
  url('?sslmode=prefer'),
  url('?sslmode=require'),
  url('?sslmode=no-verify'),
  url('?sslmode=verify-ca&sslrootcert=ca.pem'),
  url('?sslmode=verify-full'),
  url('?sslrootcert=system'),
  url('?target_session_attrs=read-write'),
])('%s is accepted', (text) => {
  expect(problemOfUrl(text)).toBeUndefined();
});

test.each([
  ['mysql://user:secret@db/app', 'is not a Postgres URL'],
  ['postgres://user:sec ret@db:port/app', 'is not a Postgres URL'],
  ['postgres://user:secret@one:5432,two:5432/app', 'names several hosts'],
  [url('?target_session_attrs=standby'), 'asks for target_session_attrs="standby"'],
  [url('?sslmode=allow'), 'asks for sslmode=allow'],
  [url('?sslmode=on'), 'asks for sslmode="on"'],
  [url('?sslmode=verify-ca'), 'asks for sslmode=verify-ca without sslrootcert'],
  [url('?sslmode=require&sslrootcert=system'), 'asks for sslrootcert=system with sslmode=require'],
])('%s is refused in one line without its password', (text, problem) => {
  const told = problemOfUrl(text);
  expect(told?.problem).toBe(problem);
  expect(JSON.stringify(told)).not.toContain('secret');
  expect(told?.cure.length).toBeGreaterThan(10);
});

test.each([
  ['', undefined],
  ['?sslmode=disable', undefined],
  ['?sslmode=prefer', 'none'],
  ['?sslmode=require', 'none'],
  ['?sslmode=no-verify', 'none'],
  ['?sslmode=require&sslrootcert=ca.pem', 'authority'],
  ['?sslrootcert=ca.pem', 'authority'],
  ['?sslmode=verify-ca&sslrootcert=ca.pem', 'authority'],
  ['?sslmode=verify-full', 'server'],
  ['?sslrootcert=system', 'server'],
])('with %s libpq checks: %s', (query, check) => {
  expect(tlsOfUrl(url(query))).toBe(check);
  expect(urlWithoutTls(url(query))).toBe(url(''));
});

test('the files of a URL are listed before it is used', () => {
  expect(filesOfUrl(url('?sslrootcert=ca.pem&sslkey=key.pem'))).toEqual([
    { option: 'sslrootcert', path: 'ca.pem' },
    { option: 'sslkey', path: 'key.pem' },
  ]);
  expect(filesOfUrl(url('?sslrootcert=system'))).toEqual([]);
});

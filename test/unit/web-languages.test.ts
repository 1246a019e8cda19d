// The texts of sign-in and of the portal: every language has all of them, and none is left in English.
import { expect, test } from 'vitest';
import { portalLanguages } from '../../src/web/portal/language.ts';
import { readWebLanguages } from '../../src/web/web-language.ts';

type Texts = { readonly [key: string]: string | Texts };
const leaves = (texts: Texts, at = ''): [string, string][] =>
  Object.entries(texts).flatMap(([key, value]) =>
    typeof value === 'string' ? [[`${at}.${key}`, value] as [string, string]] : leaves(value, `${at}.${key}`),
  );
const languages = await readWebLanguages();

test('there are English, the fallback, and German', () => {
  for (const all of [languages, portalLanguages]) expect(all.map(({ tag }) => tag)).toEqual(['en', 'de']);
});

test.each([
  ['sign-in', languages[0]?.texts, languages[1]?.texts],
  ['the portal', portalLanguages[0]?.texts, portalLanguages[1]?.texts],
] as [string, Texts, Texts][])(
  'German has every text of %s, in its own words, with the same values in it',
  (_part, english, german) => {
    const own = new Map(leaves(german));
    const all = leaves(english);
    expect([...own.keys()]).toEqual(all.map(([key]) => key));
    const names = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([name]) => name);
    for (const [key, text] of all) {
      expect(own.get(key), key).not.toBe(text);
      expect(names(own.get(key) ?? ''), key).toEqual(names(text));
    }
  },
);

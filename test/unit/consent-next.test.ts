// The last page of a consent: what comes next, as far as it is served, in each language.
import { expect, test } from 'vitest';
import { readConsentLanguages } from '../../src/web/connect/language.ts';
import { connectedPage, type NextWays } from '../../src/web/connect/pages.ts';

const languages = await readConsentLanguages();

test.each(languages)('$tag: the way to the console, the text for employees, and the second consent', (language) => {
  const site = { url: 'https://x.example', brand: { product: 'Signs & Co' }, language } as Parameters<
    typeof connectedPage
  >[0];
  const tenant = { tenantId: 'id', customer: 'c', domain: 'contoso.example', missing: [], people: 1, reload: '/again' };
  const shown = (ways: Partial<NextWays>) =>
    connectedPage(site, { ...tenant, ways: { console: undefined, people: undefined, allow: undefined, ...ways } });
  const { next } = language.texts;
  expect(shown({})).not.toContain(next.title);
  const all = shown({
    console: 'https://x.example/',
    people: 'https://x.example/',
    allow: 'https://login.example/adminconsent?client_id=1&scope=x',
  });
  expect(all).toContain(`<h2>${next.title}</h2>`);
  expect(all.match(/<a href="https:\/\/x\.example\/">/g)).toHaveLength(2);
  // The letter is text to copy: whole, and with the address written out.
  const [, letter = ''] = /<blockquote><p>(.*?)<\/p><\/blockquote>/.exec(all) ?? [];
  expect(letter).toContain('https://x.example/');
  expect(letter).toContain('Signs &amp; Co');
  expect(letter).not.toMatch(/[{}<]/);
  expect(all).toContain('href="https://login.example/adminconsent?client_id=1&amp;scope=x"');
  expect(shown({ console: 'https://x.example/' })).not.toContain('<blockquote>');
});

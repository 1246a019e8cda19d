// The languages of the consent page: each has every text, and a reader gets the one that the browser asks for.
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { packageFile } from '../../src/package-files.ts';
import { userProperties } from '../../src/rules/graph-properties.ts';
import { page } from '../../src/web/connect/frame.ts';
import { type Language, readConsentLanguages } from '../../src/web/connect/language.ts';
import { language as english } from '../../src/web/connect/languages/en.ts';
import { refusals } from '../../src/web/connect/refusals.ts';
import { html, moment, say } from '../../src/web/html.ts';
import { chooseLanguage, readLanguages } from '../../src/web/language.ts';
import { temporaryDirectory } from '../support/cli.ts';

/** Returns every text by its path, such as `buttons.signIn`. */
function textsOf(texts: object, path = ''): [string, string][] {
  return Object.entries(texts).flatMap(([key, value]: [string, unknown]) =>
    typeof value === 'object' && value !== null ? textsOf(value, `${path}${key}.`) : [[path + key, String(value)]],
  );
}

const namesIn = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();
const languages = await readConsentLanguages();

test('each file of the folder is a language, English first', () => {
  const files = readdirSync(packageFile('src', 'web', 'connect', 'languages'));
  expect(languages.map(({ tag }) => `${tag}.ts`).sort()).toEqual(files.sort());
  expect(languages[0]?.tag).toBe('en');
});

describe.each(languages)('$tag', ({ tag, direction, texts, properties }) => {
  test('has every text, with the same names in braces, and no other', () => {
    const own = textsOf(texts);
    expect(own.map(([key]) => key)).toEqual(textsOf(english.texts).map(([key]) => key));
    const wanted = new Map(textsOf(english.texts));
    for (const [key, text] of own) {
      expect(text.trim(), key).not.toBe('');
      expect([key, namesIn(text)]).toEqual([key, namesIn(wanted.get(key) ?? '')]);
    }
    expect(Object.keys(texts.refusals)).toEqual(Object.keys(refusals));
  });

  test('is a language that there is, with its direction', () => {
    expect(Intl.getCanonicalLocales(tag)).toEqual([tag]);
    expect(Intl.DateTimeFormat.supportedLocalesOf(tag)).toEqual([tag]);
    expect(direction).toBe(/^(ar|fa|he|ur)\b/.test(tag) ? 'rtl' : 'ltr');
  });

  test.runIf(tag !== 'en')('has a word for every property that can be read, and no text of another language', () => {
    const readable = Object.keys(userProperties).filter((name) => name !== 'id' && userProperties[name]?.trackable);
    expect(Object.keys(properties).sort()).toEqual(readable.sort());
    const same = new Map(textsOf(english.texts));
    for (const [key, text] of textsOf(texts))
      if (text.includes(' ')) expect([key, text]).not.toEqual([key, same.get(key)]);
  });
});

test('a language from right to left is one more file', async ({ onTestFinished }) => {
  const folder = await temporaryDirectory(onTestFinished);
  const texts = { ...english.texts, footer: { ...english.texts.footer, promise: 'שלום {product}' } };
  const other = JSON.stringify({ tag: 'he', direction: 'rtl', properties: {}, texts });
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  await writeFile(join(folder, 'he.js'), `export const language = ${other};\n`);
  const [hebrew] = await readLanguages<Language>(folder);
  if (!hebrew) return expect.unreachable('the file was not read');
  const site = { url: 'https://connect.example.com', brand: { product: '<Signatures>' }, language: hebrew };
  const shown = page(site, 'T', html`x`);
  expect(shown).toContain('<html lang="he" dir="rtl">');
  expect(shown).toContain('שלום &lt;Signatures&gt;');
});

test.each([
  ['de', 'de'],
  ['de-CH, en;q=0.5', 'de'],
  ['fr, de;q=0.4, en;q=0.8', 'en'],
  ['en;q=0.1,DE-at;q=0.9', 'de'],
  ['de;q=0, en', 'en'],
  ['fr-FR', 'en'],
  ['*', 'en'],
  ['', 'en'],
  [undefined, 'en'],
  ['de;q=x', 'en'],
  [`${'x,'.repeat(9_999)}de`, 'en'],
])('a browser that asks for %s gets %s', (header, tag) => {
  expect(chooseLanguage(languages, header).tag).toBe(tag);
});

test('a text escapes its values, and its markup is its own', () => {
  expect(say('**{name}** reads `a<b`, *{name}* {other}', { name: '<i>**x**{name}</i>' }).html).toBe(
    '<strong>&lt;i&gt;**x**{name}&lt;/i&gt;</strong> reads <code>a&lt;b</code>, <em>&lt;i&gt;**x**{name}&lt;/i&gt;</em> {other}',
  );
});

test('the German page says in a sentence how long a copy can be restored', () => {
  const german = languages.find(({ tag }) => tag === 'de') ?? expect.unreachable();
  const said = say(german.texts.welcome.removed, { retention: '30 Tage' }).html;
  expect(said).toContain('Die Kopie kann noch 30 Tage lang wiederhergestellt werden.');
});

test('a time is spelled in the language, in UTC', () => {
  const time = new Date('2096-01-15T12:30:00Z');
  const shown = languages.map((language) => moment(time, language).html.replaceAll('\u202f', ' '));
  expect(shown).toEqual([
    '<time datetime="2096-01-15T12:30:00.000Z">Sunday, January 15, 2096 at 12:30 PM UTC</time>',
    '<time datetime="2096-01-15T12:30:00.000Z">Sonntag, 15. Januar 2096 um 12:30 UTC</time>',
  ]);
});

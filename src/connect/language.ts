// The languages of the consent page: one file of texts each, and the choice by Accept-Language.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { language as english } from './languages/en.ts';

type Texts<Words> = { readonly [Key in keyof Words]: Words[Key] extends string ? string : Texts<Words[Key]> };

/** A language: what a file of the folder `languages` exports. */
export type Language = Texts<Pick<typeof english, 'texts'>> & {
  /** Its tag in BCP 47, such as `de` or `pt-BR`. */
  readonly tag: string;
  readonly direction: 'ltr' | 'rtl';
  /** The words for properties of Graph, by their names. */
  readonly properties: Readonly<Record<string, string>>;
};

const folderOfLanguages = join(import.meta.dirname, 'languages');

/** Returns every language that has a file, English first: it is the fallback. */
export async function readLanguages(folder = folderOfLanguages): Promise<Language[]> {
  const files = readdirSync(folder).filter((name) => /^[\w-]+\.(ts|js)$/.test(name));
  const languages = await Promise.all(
    files.map(
      async (name) => ((await import(pathToFileURL(join(folder, name)).href)) as { language: Language }).language,
    ),
  );
  return languages.sort(
    (one, other) => Number(other.tag === 'en') - Number(one.tag === 'en') || (one.tag < other.tag ? -1 : 1),
  );
}

/**
 * Returns the language that a header Accept-Language asks for: of the tags in the order of their weights the first that
 * there is, as itself or by its first part. Without one, the first language.
 */
export function chooseLanguage(languages: readonly Language[], header: string | undefined): Language {
  const wanted = (header ?? '')
    .slice(0, 1_000)
    .split(',')
    .map((part) => {
      const [tag = '', ...parameters] = part
        .trim()
        .toLowerCase()
        .split(/\s*;\s*/);
      const weight = parameters.find((one) => one.startsWith('q='));
      return { tag, weight: weight === undefined ? 1 : Number(weight.slice(2)) };
    })
    .filter(({ weight }) => weight > 0)
    .sort((one, other) => other.weight - one.weight);
  const find = (tag: string) => languages.find((one) => one.tag.toLowerCase() === tag);
  for (const { tag } of wanted) {
    const [first = ''] = tag.split('-');
    const found = find(tag) ?? find(first) ?? languages.find((one) => one.tag.toLowerCase().startsWith(`${first}-`));
    if (first !== '' && found) return found;
  }
  const [fallback] = languages;
  if (!fallback) throw new Error('there is no language');
  return fallback;
}

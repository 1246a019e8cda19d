// The languages of pages: one file of texts each in a folder, and the choice by Accept-Language.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** A language that pages can be in; each part of the web adds its texts. */
export type Language = {
  /** Its tag in BCP 47, such as `de` or `pt-BR`. */
  readonly tag: string;
  readonly direction: 'ltr' | 'rtl';
};

/** The shape of a part's English texts, for the files of its other languages. */
export type Texts<Words> = { readonly [Key in keyof Words]: Words[Key] extends string ? string : Texts<Words[Key]> };

/** Returns every language that has a file in the folder, English first: it is the fallback. */
export async function readLanguages<One extends Language>(folder: string): Promise<One[]> {
  const files = readdirSync(folder).filter((name) => /^[\w-]+\.(ts|js)$/.test(name));
  const languages = await Promise.all(
    files.map(async (name) => ((await import(pathToFileURL(join(folder, name)).href)) as { language: One }).language),
  );
  return languages.sort(
    (one, other) => Number(other.tag === 'en') - Number(one.tag === 'en') || (one.tag < other.tag ? -1 : 1),
  );
}

/**
 * Returns the language that a header Accept-Language asks for: of the tags in the order of their weights the first that
 * there is, as itself or by its first part. Without one, the first language.
 */
export function chooseLanguage<One extends Language>(languages: readonly One[], header: string | undefined): One {
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
  return fallbackOf(languages);
}

/** Returns the language of the readers that ask for none that there is: the first one. */
export function fallbackOf<One extends Language>([fallback]: readonly One[]): One {
  if (!fallback) throw new Error('there is no language');
  return fallback;
}

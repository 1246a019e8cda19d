// The texts of the consent page, by language.
import { join } from 'node:path';
import { type Language as AnyLanguage, readLanguages, type Texts } from '../language.ts';
import type { language as english } from './languages/en.ts';

/** A language: what a file of the folder `languages` exports. */
export type Language = AnyLanguage &
  Texts<Pick<typeof english, 'texts'>> & {
    /** The words for properties of Graph, by their names. */
    readonly properties: Readonly<Record<string, string>>;
  };

/** Returns every language of the consent page, English first: it is the fallback. */
export function readConsentLanguages(): Promise<Language[]> {
  return readLanguages<Language>(join(import.meta.dirname, 'languages'));
}

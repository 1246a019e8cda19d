// Renders the html of an item for one account (rule 45): values for its {{fields}}, anew from the tokens of a parser, and as plain text.
import { compile } from 'html-to-text';
import { Parser } from 'htmlparser2';

/** A value of a profile. */
export type FieldValue = string | number | boolean | null | readonly FieldValue[] | { readonly [key: string]: unknown };
export type FieldValues = Readonly<Record<string, FieldValue | undefined>>;

const tag = /\{\{[ \t]*([#/]?)[ \t]*([a-zA-Z][a-zA-Z0-9_]*)[ \t]*\}\}/g;

// Characters that no text has. They stand around a field's name while the html is parsed.
const [open, close] = ['\uFDD0', '\uFDD1'];
const marks = /[\uFDD0\uFDD1]/g;
const marked = /\uFDD0(\w+)\uFDD1/g;

/** The attributes that may hold a value, as `entra_sync.template_problem` of the database has them. */
const mereText =
  /^(?:title|alt|aria-[a-z]+|data-[-a-z0-9_]+|lang|dir|id|class|name|width|height|align|valign|color|bgcolor|border|face|size|datetime|abbr|summary)$/;

/** Elements that are left out with all that is in them: no mail shows them, and a browser reads some by other rules. */
const leftOut = new Set(
  'applet base embed frame frameset iframe link math meta noembed noframes noscript object plaintext script svg template textarea title xmp'.split(
    ' ',
  ),
);
/** Elements of a whole document, of which an item is only a part. */
const dropped = new Set(['html', 'head']);
const empty = new Set('area br col hr img input param source track wbr'.split(' '));

/** The most elements that may stand within each other. A mail has fewer, and more cost time that grows by their square. */
const maxDepth = 200;

/** The most characters of what is rendered: a short template can name a long value thousands of times. */
const maxSize = 1_000_000;

/** Returns the text of a field; '' if it has none. */
type Texts = (name: string) => string;

/** Returns the names of the fields that a template asks for. */
export function fieldsOf(template: string): string[] {
  return [...new Set([...template.matchAll(tag)].map(([, , name]) => name ?? ''))];
}

/**
 * Returns the html for these values, or undefined if its elements are nested too deeply, or if it is longer than `room`.
 * All elements and attributes of it are those of the template: a value is text, in an element or a quoted attribute, and
 * never more. An address that is no https, mailto or tel is left out.
 */
export function renderHtml(template: string, values: FieldValues, room = maxSize): string | undefined {
  const out: string[] = [];
  let left = Math.min(room, maxSize);
  const add = (text: string) => {
    left -= text.length;
    if (left < 0) throw new TooMuch();
    out.push(text);
  };
  const texts = textsOf(values);
  const elements: string[] = [];
  // The element that is left out, and the elements within it that have its name.
  let without: string | undefined;
  let within = 0;
  const parser = new Parser(
    {
      onopentag(name, attributes) {
        elements.push(name);
        if (elements.length > maxDepth) throw new TooMuch();
        if (without === undefined && leftOut.has(name)) without = name;
        if (without !== undefined) {
          if (without === name) within += 1;
          return;
        }
        if (dropped.has(name)) return;
        add(`<${name === 'body' ? 'div' : name}`);
        for (const [attribute, text] of Object.entries(attributes)) add(show(name, attribute, text, texts));
        add('>');
      },
      ontext(text) {
        if (without !== undefined) return;
        // A style sheet is code up to its end, which escapes would change.
        if (elements.at(-1) === 'style') add(text.replaceAll(marked, '').replaceAll('<', ''));
        else add(escaped(filled(text, texts)));
      },
      onclosetag(name) {
        elements.pop();
        if (without !== undefined) {
          if (name === without) within -= 1;
          if (within === 0) without = undefined;
        } else if (!dropped.has(name) && !empty.has(name)) add(`</${name === 'body' ? 'div' : name}>`);
      },
    },
    { decodeEntities: true },
  );
  try {
    parser.end(withSections(template.replaceAll(marks, ''), texts));
  } catch (error) {
    if (error instanceof TooMuch) return undefined;
    throw error;
  }
  return out.join('');
}

class TooMuch extends Error {}

/** Returns the template with the sections alone whose field has a value, and marks around the names of fields. */
function withSections(template: string, texts: Texts): string {
  const out: string[] = [];
  const sections: { readonly name: string; readonly isShown: boolean }[] = [];
  let isShown = true;
  let end = 0;
  for (const { 0: whole, 1: kind, 2: name = '', index } of template.matchAll(tag)) {
    if (isShown) out.push(template.slice(end, index));
    end = index + whole.length;
    if (kind === '#') {
      isShown = isShown && texts(name) !== '';
      sections.push({ name, isShown });
    } else if (kind === '/') {
      if (sections.at(-1)?.name === name) sections.pop();
      isShown = sections.at(-1)?.isShown ?? true;
    } else if (isShown) out.push(open, name, close);
  }
  if (isShown) out.push(template.slice(end));
  return out.join('');
}

function show(element: string, attribute: string, text: string, texts: Texts): string {
  if (!/^[a-z_:][-a-z0-9_:.]*$/.test(attribute) || attribute.startsWith('on')) return '';
  const isAddress = attribute === 'href';
  const mayHold = isAddress ? element === 'a' || element === 'area' : mereText.test(attribute);
  if (!mayHold && text.includes(open)) return '';
  const value = filled(text, texts);
  return isAddress && !isSafeAddress(value) ? '' : ` ${attribute}="${escaped(value)}"`;
}

/** Returns whether a browser takes the text for an address of https, mailto or tel. */
function isSafeAddress(text: string): boolean {
  return URL.canParse(text) && ['https:', 'mailto:', 'tel:'].includes(new URL(text).protocol);
}

function filled(text: string, texts: Texts): string {
  let size = text.length;
  const whole = text.replaceAll(marked, (_whole, name: string) => {
    const value = texts(name);
    size += value.length;
    if (size > 2 * maxSize) throw new TooMuch();
    return value;
  });
  return whole.replaceAll(marks, '');
}

function textsOf(values: FieldValues): Texts {
  const known = new Map<string, string>();
  return (name) => {
    const text = known.get(name) ?? textOf(values[name]);
    known.set(name, text);
    return text;
  };
}

/** Returns a value as text; '' if the field has none. */
function textOf(value: FieldValue | undefined): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.map(textOf).filter(Boolean).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value).trim();
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Returns a text as HTML, for between tags or in a quoted attribute. Half a surrogate pair becomes U+FFFD. */
export const escaped = (text: string) =>
  text.toWellFormed().replaceAll(/[&<>"']/g, (character) => escapes[character] ?? '');

const headings = ['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map((selector) => ({ selector, options: { uppercase: false } }));

const toText = compile({
  wordwrap: false,
  formatters: {
    words: (element, walk, builder) => {
      let text = '';
      builder.pushWordTransform((word) => {
        text += word;
        return word;
      });
      walk(element.children, builder);
      builder.popWordTransform();
      const address = String(element.attribs.href ?? '');
      if (address !== '' && !isSame(text, address)) builder.addInline(` <${address}>`, { noWordTransform: true });
    },
    cell: (element, walk, builder) => {
      walk(element.children, builder);
      builder.addInline(' ');
    },
    entry: (element, walk, builder) => {
      builder.openBlock({ leadingLineBreaks: 1 });
      builder.addInline('- ');
      walk(element.children, builder);
      builder.closeBlock({ trailingLineBreaks: 1 });
    },
    alt: (element, _walk, builder) => builder.addInline(String(element.attribs.alt ?? '')),
  },
  selectors: [
    { selector: 'a', format: 'words' },
    { selector: 'img', format: 'alt' },
    { selector: 'tr', format: 'block', options: { leadingLineBreaks: 1, trailingLineBreaks: 1 } },
    { selector: 'td', format: 'cell' },
    { selector: 'th', format: 'cell' },
    // No indents: each level of many would add one to every line.
    { selector: 'ul', format: 'block', options: { leadingLineBreaks: 1, trailingLineBreaks: 1 } },
    { selector: 'ol', format: 'block', options: { leadingLineBreaks: 1, trailingLineBreaks: 1 } },
    { selector: 'li', format: 'entry' },
    { selector: 'blockquote', format: 'block', options: { leadingLineBreaks: 1, trailingLineBreaks: 1 } },
    { selector: 'style', format: 'skip' },
    ...headings,
  ],
});

/** Returns whether the words of a link say its address: an address or a number as people write it. */
function isSame(words: string, address: string): boolean {
  const bare = (text: string) =>
    text
      .toLowerCase()
      .replace(/^(?:https|mailto|tel):(?:\/\/)?/, '')
      .replaceAll(/[\s()./-]/g, '');
  return bare(words) === bare(address);
}

/** Returns rendered html as plain text: a line for each block and row, and the address of a link behind its words. */
export function plainText(html: string): string {
  return toText(html).trim();
}

// Templates of items with their fate, values that try to break out, and the elements that a browser makes of the result.
import fc from 'fast-check';
import { defaultTreeAdapter, parse } from 'parse5';

/** Templates that are taken. */
export const taken = [
  '<p>{{displayName}}</p>',
  '<a href="mailto:{{mail}}" title=\'{{displayName}}\'>Write</a>',
  '<img src="logo.png" alt="{{displayName}}">',
  '<style>p { color: red }</style><title>Mail</title><p>{{displayName}}</p>',
  '1 < 2 {{ displayName }}',
  'no field <img src=x style="color: red" onclick="go()"><svg><p title=',
  '<!doctype html PUBLIC "-//W3C//DTD XHTML 1.0//EN" "http://www.w3.org/TR/x.dtd"><body bgcolor="{{color}}">{{displayName}}</body>',
  '<!--[if mso]><table><tr><![endif]--><![if !mso]><b>{{displayName}}</b><![endif]>',
  '<table><tr><td>{{mail}}</td></tr>{{#phone}}<tr><td>{{phone}}{{#mail}} or {{mail}}{{/mail}}</td></tr>{{/phone}}</table>',
  '<a href="{{website}}" title="{{#phone}}call {{phone}}{{/phone}}">{{website}}</a><br/>',
];

const inText = 'Put it into text, or into an attribute in quotes such as alt, title, or href of a link.';
const paired = 'Close each {{#field}} by its {{/field}}, the inner one first, within the same text or attribute.';
const standing = (place: string, line = 1) =>
  [`a {{field}} of the html stands ${place} (line ${line})`, inText] as const;

/** Templates that are refused, with the message and the hint. */
export const refused: readonly (readonly [html: string, message: string, hint: string | RegExp])[] = [
  ['<img src="{{photo}}">', ...standing('in the attribute src')],
  ['<IMG alt="x" SRC=\'https://x/{{photo}}\'>', ...standing('in the attribute src')],
  ['<img srcset="{{photo}} 2x">', ...standing('in the attribute srcset')],
  ['<p style="color: {{color}}">x</p>', ...standing('in the attribute style')],
  ['<p\nstyle\n=\n"{{x}}">', ...standing('in the attribute style')],
  ['<p onclick="go({{id}})">x</p>', ...standing('in the attribute onclick')],
  ['<td background="https://x/{{photo}}">', ...standing('in the attribute background')],
  ['<link rel="stylesheet" href="https://x/{{a}}">', ...standing('in the attribute href')],
  ['<p title={{displayName}}>x</p>', ...standing('in the unquoted attribute title')],
  ['<p title=a{{displayName}}>x</p>', ...standing('in the unquoted attribute title')],
  ['<p {{displayName}}>x</p>', ...standing('in the name of an attribute')],
  ['<p {{#a}}title="x"{{/a}}>x</p>', ...standing('in a tag that cannot be read')],
  ['<{{tag}}>x', ...standing('in the name of a tag')],
  ['<h{{n}}>x</h1>', ...standing('in the name of a tag')],
  ['<h1>x</h{{n}}>', ...standing('in the name of a tag')],
  ['<style>p { color: {{color}} }</style>', ...standing('in style, script or title')],
  ['<script>{{code}}</script>', ...standing('in style, script or title')],
  ['\n\n<!-- {{displayName}} -->', ...standing('in a comment', 3)],
  ['<img alt="x" src="{{photo}}', ...standing('in a tag that cannot be read')],
  ['<img src=\' title="{{x}}"\'>', ...standing('in the attribute src')],
  // A browser ends the comment first.
  ['<!-- <a title="--><img src={{x}}>">', ...standing('in the unquoted attribute src')],
  ['<!--> <img title="{{x}}"> -->', 'the html has a comment that a {{field}} may stand in (line 1)', /-->/],
  ['<!-- a --!> <img title="{{x}}"> -->', 'the html has a comment that a {{field}} may stand in (line 1)', /-->/],
  ['<a title="x"title="y">{{x}}</a>', 'the html has a tag that cannot be read beside a {{field}} (line 1)', /space/],
  ['a <? {{x}}', 'the html has a < that begins no tag (line 1)', /&lt;/],
  ['<svg><style><b title="</style><img src={{x}}>">', 'the html has <svg> beside a {{field}} (line 1)', /other rules/],
  ['<iframe srcdoc="{{x}}">', 'the html has <iframe> beside a {{field}} (line 1)', /other rules/],
  ['<noscript>{{x}}</noscript>', 'the html has <noscript> beside a {{field}} (line 1)', /other rules/],
  ['<style>a<b {{x}}</style>', 'the html has <style> beside a {{field}} (line 1)', /other rules/],
  ['{{{displayName}}}', 'the html has a {{ that begins no field (line 1)', /&#123;/],
  ['{{^phone}}none{{/phone}}', 'the html has a {{ that begins no field (line 1)', /letters, digits/],
  ['a\n{{#phone}}{{phone}}', '{{#phone}} of the html has no {{/phone}}', paired],
  ['a\n{{/phone}}', '{{/phone}} of the html closes no {{#phone}} (line 2)', paired],
  ['{{#a}}{{#b}}{{/a}}{{/b}}', '{{/a}} of the html closes no {{#a}} (line 1)', paired],
  ['<p title="{{#a}}">x{{/a}}</p>', '{{#a}} of the html has no {{/a}} (line 1)', paired],
  ['{{#a}}'.repeat(21), 'the html nests {{#field}} deeper than 20 (line 1)', /outer/],
];

const breaks = [
  ...[
    '<b>',
    '</p>',
    '<img src=x onerror=alert(1)>',
    '<script>',
    '</style>',
    '-->',
    '<!--',
    ']]>',
    '<svg/onload=x>',
    '</title>',
  ],
  ...[
    '"',
    "'",
    '`',
    '=',
    '>',
    '<',
    '/',
    ' ',
    '\n',
    '\t',
    '&',
    '&lt;',
    '&#60;',
    '&quot;',
    '&#x22',
    ';',
    'x',
    'onclick=x',
  ],
  ...[
    'javascript:',
    'https://x/',
    'mailto:',
    '{{mail}}',
    '{{#x}}',
    '\uFDD0mail\uFDD1',
    '\u00a0',
    '\u2028',
    '%3C',
    'é',
    '\uD800',
  ],
];

/** Values of a field that has one, made of what breaks out of text, attributes and addresses. */
export const value = fc
  .array(fc.constantFrom(...breaks), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.join(''))
  .filter((text) => text.trim() !== '');

type Node = {
  readonly nodeName: string;
  readonly attrs?: readonly { name: string }[];
  readonly childNodes?: readonly Node[];
};

/** Returns the elements that a browser makes of html, in order, each with the names of its attributes. */
export function elementsOf(html: string): string[] {
  const walk = (node: Node): string[] => [
    ...(node.nodeName.startsWith('#text')
      ? []
      : [[node.nodeName, ...(node.attrs ?? []).map(({ name }) => name)].join(' ')]),
    ...(node.childNodes ?? []).flatMap(walk),
  ];
  return walk(parse(html, { treeAdapter: defaultTreeAdapter }) as Node);
}

// Templates of items as they are rendered: values are text, whatever is in them and whatever template there is.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fieldsOf, plainText, renderHtml } from '../../src/words/template.ts';
import { drawn } from '../support/histories.ts';
import { elementsOf, refused, taken, value } from '../support/templates.ts';

const person = {
  displayName: 'Ann "A" <Berg> & Co',
  mail: 'ann@contoso.com',
  phone: '+49 (30) 12-3',
  list: ['a', 'b'],
  none: null,
};

describe('rule 45: a value is text', () => {
  test.each<[string, string]>([
    ['<p>{{displayName}}</p>', '<p>Ann &quot;A&quot; &lt;Berg&gt; &amp; Co</p>'],
    ["<p title='{{ displayName }}'>x", '<p title="Ann &quot;A&quot; &lt;Berg&gt; &amp; Co">x</p>'],
    ['{{list}}, {{none}}{{unknown}}.', 'a, b, .'],
    [
      '{{#phone}}T {{phone}}{{#none}} or {{none}}{{/none}}{{/phone}}{{#none}}<b>{{phone}}</b>{{/none}}',
      'T +49 (30) 12-3',
    ],
    [
      '<table>{{#none}}<tr><td>x</td></tr>{{/none}}{{#phone}}<tr><td>y</td></tr>{{/phone}}</table>',
      '<table><tr><td>y</td></tr></table>',
    ],
    // As a template that no database of today takes is rendered.
    ['<img src="{{phone}}" alt=x style="{{phone}}" onerror=go()>', '<img alt="x">'],
    ['<p {{phone}} title={{phone}} data-x="{{phone}}">', '<p title="+49 (30) 12-3" data-x="+49 (30) 12-3"></p>'],
    [
      '<style>a { b: {{phone}} }</style><script>{{phone}}</script><!-- {{phone}} --><{{phone}}>',
      '<style>a { b:  }</style>&lt;+49 (30) 12-3&gt;',
    ],
    ['<svg><style><b title="</style><img src={{phone}}>"></style></svg><p>after', '<p>after</p>'],
    ['<iframe srcdoc="{{phone}}"><b>in</b></iframe>a<object><object>b</object></object></div>c', 'ac'],
    ['<html><body bgcolor="{{phone}}">{{#phone}}a', '<div bgcolor="+49 (30) 12-3">a</div>'],
    ['<{{phone}}', '&lt;+49 (30) 12-3'],
  ])('%s', (template, html) => {
    expect(renderHtml(template, person)).toBe(html);
  });

  test.each<[string, string | undefined]>([
    ['https://contoso.com/a?b=c', 'https://contoso.com/a?b=c'],
    ['MAILTO:ann@contoso.com', 'MAILTO:ann@contoso.com'],
    ['tel:+49 30', 'tel:+49 30'],
    ['http://contoso.com', undefined],
    ['javascript:alert(1)', undefined],
    [' java\tscript:alert(1)', undefined],
    ['\u0001javascript:alert(1)', undefined],
    ['data:text/html,x', undefined],
    ['//contoso.com', undefined],
    ['contoso.com', undefined],
    ['', undefined],
  ])('the address %s of a link', (website, address) => {
    const link = address === undefined ? '<a>x</a>' : `<a href="${address}">x</a>`;
    expect(renderHtml('<a href="{{website}}">x</a>', { website })).toBe(link);
    expect(renderHtml(`<a href="${website.replaceAll('j', '&#106;')}">x</a>`, {})).toBe(link);
  });

  test('no value adds an element or an attribute', () => {
    const templates = [...taken, ...refused.map(([html]) => html)];
    const names = [...new Set(templates.flatMap(fieldsOf))];
    fc.assert(
      fc.property(
        fc.constantFrom(...templates),
        fc.array(value, { minLength: names.length, maxLength: names.length }),
        (template, values) => {
          const rendered = (of: readonly string[]) => {
            const html = renderHtml(template, Object.fromEntries(names.map((name, n) => [name, of[n]])));
            // A value that makes another scheme takes the address away.
            return elementsOf(`<main>${html}</main>`).map((one) => one.replace('a href', 'a'));
          };
          expect(rendered(values)).toEqual(rendered(names.map(() => 'https://x/')));
        },
      ),
      { ...drawn, numRuns: 1000 },
    );
  });

  test.each([
    ['{{'.repeat(500_000), '{{'.repeat(500_000)],
    ['{{#a}}'.repeat(150_000), ''],
    ['<b>'.repeat(300_000), undefined],
    ['</b>'.repeat(250_000), ''],
    ['<!--'.repeat(250_000), ''],
  ])('a megabyte of %.8s', (template, html) => {
    expect(renderHtml(template, {})).toBe(html);
  });
});

test.each([
  ['{{long}}'.repeat(30_000), 'a text'],
  ['<b>{{long}}</b>'.repeat(15_000), 'elements'],
  [`<p ${Array.from({ length: 10_000 }, (_, n) => `data-${n}="{{long}}"`).join(' ')}>`, 'attributes'],
])('a long value is not repeated without end: %#', (template) => {
  expect(renderHtml(template, { long: '"'.repeat(32_000) })).toBeUndefined();
  expect(renderHtml(template, { long: 'x' })).toBeDefined();
  expect(renderHtml(template, { long: 'x' }, 1_000)).toBeUndefined();
});

test('the plain text has a line for each row, and the address of a link whose words do not say it', () => {
  const html = renderHtml(
    `<style>p { color: red }</style><h2>{{displayName}}</h2><table><tr><td>T</td><td><a href="tel:{{phone}}">{{phone}}</a></td></tr>
     <tr><td><a href="mailto:{{mail}}">{{mail}}</a></td></tr></table><a href="https://contoso.com/{{mail}}">Our&nbsp;site</a> <img src="x" alt="Logo">`,
    person,
  );
  expect(plainText(html ?? '').split(/\n+/)).toEqual([
    'Ann "A" <Berg> & Co',
    'T +49 (30) 12-3',
    'ann@contoso.com',
    'Our\u00a0site <https://contoso.com/ann@contoso.com> Logo',
  ]);
});

test('the plain text of lists has a line for each entry, however deep it is', () => {
  expect(plainText('<ul><li>one</li><li>two<ol><li>three</li></ol></li></ul>')).toBe('- one\n- two\n- three');
  expect(plainText(`${'<ul>'.repeat(190)}${'<li>x</li>'.repeat(5000)}`)).toHaveLength(4 * 5000 - 1);
});

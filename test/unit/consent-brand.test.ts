// The vendor's brand on the consent page: what is refused, and colours that stay readable.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readBrand } from '../../src/web/brand.ts';
import { accentsOf, contrast } from '../../src/web/color.ts';
import { contentSecurityPolicy } from '../../src/web/connect/frame.ts';
import { temporaryDirectory } from '../support/cli.ts';

test('an option goes before its variable, and an empty variable counts as unset', () => {
  const variables = {
    ENTRA_SYNC_PRODUCT: 'Example',
    ENTRA_SYNC_COLOR: '#5B2D90',
    ENTRA_SYNC_CONTACT: 'https://example.com/help',
    ENTRA_SYNC_PRIVACY_URL: 'https://example.com/privacy',
    ENTRA_SYNC_TERMS_URL: '',
    ENTRA_SYNC_RETURN_URL: 'https://app.example.com',
  };
  expect(readBrand(variables, { product: ' Signatures ', contact: 'support@example.com' })).toEqual({
    product: 'Signatures',
    color: '#5b2d90',
    contact: 'mailto:support@example.com',
    privacyUrl: 'https://example.com/privacy',
    returnUrl: 'https://app.example.com/',
  });
  expect(readBrand({}, {})).toEqual({ product: 'entra-sync' });
});

test.each([
  [{ product: ' ' }, /the product must have/],
  [{ product: 'a\u0007b' }, /the product must have/],
  [{ color: 'red' }, /colour cannot be "red"/],
  [{ color: '#12345g' }, /colour cannot be/],
  [{ contact: 'javascript:alert(1)' }, /contact cannot be/],
  [{ contact: 'http://example.com' }, /contact cannot be/],
  [{ contact: 'a@b.example?bcc=c@d.example' }, /contact cannot be/],
  [{ contact: 'a,b@example.com' }, /contact cannot be/],
  [{ contact: 'a;b@example.com' }, /contact cannot be/],
  [{ contact: 'a\u0001b@example.com' }, /contact cannot be/],
  [{ privacyUrl: 'http://example.com' }, /privacy link cannot be/],
  [{ privacyUrl: 'data:text/html,x' }, /privacy link cannot be/],
  [{ termsUrl: 'example.com/terms' }, /terms link cannot be/],
  [{ returnUrl: 'https://user:password@example.com' }, /return link cannot be/],
  [{ returnUrl: 'javascript:alert(1)//https://x' }, /return link cannot be/],
  [{ logo: '/nowhere/logo.png' }, /logo cannot be used/],
  [{ logo: 'https://example.com/logo.png' }, /logo cannot be used/],
])('%o is refused', (given, says) => {
  expect(() => readBrand({}, given)).toThrow(says);
});

test('a logo is a picture by its first bytes, of at most 256 KiB', async ({ onTestFinished }) => {
  const folder = await temporaryDirectory(onTestFinished);
  const read = (bytes: Buffer | string) => {
    const path = join(folder, 'logo');
    writeFileSync(path, bytes);
    return readBrand({ ENTRA_SYNC_LOGO: path }, {}).logo?.type;
  };
  expect(read(Buffer.from('89504e470d0a1a0a00', 'hex'))).toBe('image/png');
  expect(read(Buffer.from('ffd8ffe0', 'hex'))).toBe('image/jpeg');
  expect(read('RIFF\0\0\0\0WEBPVP8 ')).toBe('image/webp');
  expect(read('<?xml version="1.0"?>\n<!-- a -->\n<svg xmlns="http://www.w3.org/2000/svg"/>')).toBe('image/svg+xml');
  // As drawing programs write it.
  const doctype = '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">';
  expect(read(`<?xml version="1.0"?>\n<!-- a --><!-- b -->\n${doctype}\n<svg/>`)).toBe('image/svg+xml');
  expect(() => read('<!--'.repeat(60_000))).toThrow(/logo cannot be used/);
  expect(() => read(`<!---->${'<!-- a -->'.repeat(20_000)}`)).toThrow(/logo cannot be used/);
  for (const bad of ['<html><svg></svg></html>', 'GIF89a', '', Buffer.alloc(256 * 1024 + 1, 'ffd8ff', 'hex')])
    expect(() => read(bad)).toThrow(/logo cannot be used/);
  expect(() => readBrand({}, { logo: folder })).toThrow(/logo cannot be used/);
});

const papers = { light: ['#ffffff'], dark: ['#161b22'] };

test.each(['#0b5cad', '#ffcc00', '#ffffff', '#000000', '#777777', '#ff0000', '#00ff88', '#161b22'])(
  'the colour %s can be read on the page, and text on it',
  (color) => {
    const { light, dark } = accentsOf(color, papers);
    expect(contrast(light.accent, '#ffffff')).toBeGreaterThanOrEqual(4.5);
    expect(contrast(dark.accent, '#161b22')).toBeGreaterThanOrEqual(4.5);
    for (const { accent, onAccent } of [light, dark]) expect(contrast(accent, onAccent)).toBeGreaterThanOrEqual(4.5);
  },
);

test('a colour that can be read stays as it is', () => {
  expect(accentsOf('#5b2d90', papers).light).toEqual({ accent: '#5b2d90', onAccent: '#ffffff' });
  expect(contrast('#ffffff', '#000000')).toBeCloseTo(21, 5);
});

test('the policy allows pictures only where there is a logo, and only of this site', () => {
  const policy = (brand: object) => contentSecurityPolicy('https://login.example', { product: 'x', ...brand });
  expect(policy({})).not.toContain('img-src');
  expect(policy({ logo: { type: 'image/png', bytes: Buffer.alloc(1) } })).toContain("; img-src 'self';");
  expect(policy({ color: '#123456' })).not.toBe(policy({}));
});

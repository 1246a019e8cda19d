// The vendor's brand on the consent page: name, logo, colour and links, checked when `connect` starts.
import { readFileSync, statSync } from 'node:fs';
import { ExpectedError } from '../errors.ts';

export type Brand = {
  /** The product's name as customers know it: it asks for consent. */
  readonly product: string;
  /** The picture, which the page serves itself. */
  readonly logo?: { readonly type: string; readonly bytes: Buffer };
  /** The colour of buttons and links, `#rrggbb`. */
  readonly color?: string;
  /** `mailto:` or https. */
  readonly contact?: string;
  readonly privacyUrl?: string;
  readonly termsUrl?: string;
  /** The way back to the product, on the last page. */
  readonly returnUrl?: string;
};

/** The brand as options or variables give it. */
export type BrandOptions = {
  readonly product?: string;
  readonly logo?: string;
  readonly color?: string;
  readonly contact?: string;
  readonly privacyUrl?: string;
  readonly termsUrl?: string;
  readonly returnUrl?: string;
};

/** Reads the brand: an option, else its variable; empty ones count as unset. Throws `usage` for one that cannot be used. */
export function readBrand(variables: NodeJS.ProcessEnv, given: BrandOptions): Brand {
  const product = given.product ?? (variables.ENTRA_SYNC_PRODUCT || 'entra-sync');
  const logo = given.logo ?? (variables.ENTRA_SYNC_LOGO || undefined);
  const color = given.color ?? (variables.ENTRA_SYNC_COLOR || undefined);
  const contact = given.contact ?? (variables.ENTRA_SYNC_CONTACT || undefined);
  const privacyUrl = given.privacyUrl ?? (variables.ENTRA_SYNC_PRIVACY_URL || undefined);
  const termsUrl = given.termsUrl ?? (variables.ENTRA_SYNC_TERMS_URL || undefined);
  const returnUrl = given.returnUrl ?? (variables.ENTRA_SYNC_RETURN_URL || undefined);
  return {
    product: checkedProduct(product),
    ...(logo !== undefined && { logo: readLogo(logo) }),
    ...(color !== undefined && { color: checkedColor(color) }),
    ...(contact !== undefined && { contact: checkedContact(contact) }),
    ...(privacyUrl !== undefined && { privacyUrl: checkedUrl(privacyUrl, 'privacy', '--privacy-url') }),
    ...(termsUrl !== undefined && { termsUrl: checkedUrl(termsUrl, 'terms', '--terms-url') }),
    ...(returnUrl !== undefined && { returnUrl: checkedUrl(returnUrl, 'return', '--return-url') }),
  };
}

function refuse(problem: string, cure: string, cause?: unknown): never {
  throw new ExpectedError('usage', problem, { cure, cause });
}

function checkedProduct(text: string): string {
  const product = text.trim();
  if (product !== '' && product.length <= 200 && product.isWellFormed() && !/\p{Cc}/u.test(product)) return product;
  return refuse(
    'the product must have 1 to 200 printable characters',
    'name it with --product or ENTRA_SYNC_PRODUCT, as customers know it',
  );
}

function checkedColor(text: string): string {
  if (/^#[0-9a-f]{6}$/i.test(text)) return text.toLowerCase();
  return refuse(
    `the colour cannot be ${JSON.stringify(text.slice(0, 40))}`,
    'give six hexadecimal digits with --color or ENTRA_SYNC_COLOR, such as "#0b5cad"',
  );
}

function isHttps(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && url.protocol === 'https:' && url.username === '' && url.password === '';
}

function checkedUrl(text: string, what: string, option: string): string {
  if (text.length <= 2_000 && isHttps(text)) return new URL(text).href;
  return refuse(
    `the address of the ${what} link cannot be ${JSON.stringify(text.slice(0, 200))}`,
    `give one that begins with https:// with ${option} or ENTRA_SYNC_${what.toUpperCase()}_URL`,
  );
}

function checkedContact(text: string): string {
  if (/^[^\s\p{Cc}@:,;/?&#<>"'%]{1,64}@[\w.-]{1,255}$/u.test(text)) return `mailto:${text}`;
  if (text.length <= 2_000 && isHttps(text)) return new URL(text).href;
  return refuse(
    `the contact cannot be ${JSON.stringify(text.slice(0, 200))}`,
    'give a mail address, or an address that begins with https://, with --contact or ENTRA_SYNC_CONTACT',
  );
}

const largestLogo = 256 * 1024;

// A picture is known by its first bytes, since its name may say anything.
function typeOf(bytes: Buffer): string | undefined {
  if (bytes.subarray(0, 8).equals(Buffer.from('89504e470d0a1a0a', 'hex'))) return 'image/png';
  if (bytes.subarray(0, 3).equals(Buffer.from('ffd8ff', 'hex'))) return 'image/jpeg';
  if (bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WEBP') return 'image/webp';
  return /^<svg[\s/>]/.test(afterProlog(bytes.toString('utf8'))) ? 'image/svg+xml' : undefined;
}

// A comment at a time: an expression over all of them tries every way to part them.
function afterProlog(text: string): string {
  let rest = text.replace(/^\uFEFF/, '').trimStart();
  for (;;) {
    const end = rest.startsWith('<!--')
      ? rest.indexOf('-->', 4) + 3
      : (/^(<\?xml[^>]*>|<!DOCTYPE\s+svg[^[>]*>)/.exec(rest)?.[0].length ?? 0);
    if (end < 4) return rest;
    rest = rest.slice(end).trimStart();
  }
}

// The page loads nothing from elsewhere, so a logo is a file here and never an address.
function readLogo(path: string): { type: string; bytes: Buffer } {
  const cure = 'name a PNG, JPEG, WebP or SVG file of at most 256 KiB with --logo or ENTRA_SYNC_LOGO';
  const problem = `the logo cannot be used: ${path.slice(0, 200)}`;
  let bytes: Buffer;
  try {
    const file = statSync(path);
    if (!file.isFile() || file.size > largestLogo) return refuse(problem, cure);
    bytes = readFileSync(path);
  } catch (error) {
    if (error instanceof ExpectedError) throw error;
    return refuse(problem, cure, error);
  }
  const type = typeOf(bytes);
  return type === undefined ? refuse(problem, cure) : { type, bytes };
}

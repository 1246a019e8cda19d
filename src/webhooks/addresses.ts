// Where a webhook may go: to addresses that the whole internet reaches. An address of the vendor's own network, which a
// customer or a slip could name, would make the worker ask its own neighbours (rule 53).
import { lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

// A public address that each machine of Azure reaches, where the platform answers it alone.
const wireServer = '168.63.129.16';

/** Returns whether an IP address is routed by the whole internet. One that wraps an IPv4 address is none. */
export function isGlobal(address: string): boolean {
  // The library also reads short forms, such as 1.2.3.
  if (isIP(address) === 0 || address === wireServer) return false;
  // 'unicast' is what no registry has set apart; of IPv6 only 2000::/3 is given out.
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  return parsed.kind() === 'ipv4' || parsed.match(ipaddr.IPv6.parse('2000::'), 3);
}

const isLoopback = (address: string) => isIP(address) !== 0 && ipaddr.parse(address).range() === 'loopback';

/** Thrown instead of a connection. */
export class RefusedAddress extends Error {}

/** Returns which IP addresses a webhook may go to. */
export const allowed = (insecureLocal: boolean) => (insecureLocal ? isLoopback : isGlobal);

/**
 * Returns a lookup that answers only with addresses that may be connected to, so that what was checked is what is used. It
 * fails with `RefusedAddress` where none is left.
 */
export function checkedLookup(may: (address: string) => boolean): LookupFunction {
  return (hostname, options, done) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error) return done(error, '', 0);
      const good = found.filter(({ address }) => may(address));
      const [first] = good;
      if (!first) return done(new RefusedAddress('its name leads to no address that webhooks may go to'), '', 0);
      if (options.all) return done(null, good);
      return done(null, first.address, first.family);
    });
  };
}

/** Returns whether the host of an address is written as an IP that a webhook may not go to: no lookup sees such a host. */
export function isRefusedLiteral({ hostname }: URL, may: (address: string) => boolean): boolean {
  const host = hostname.replace(/^\[|\]$/g, '');
  return isIP(host) !== 0 && !may(host);
}

/**
 * Returns why a webhook cannot have this address, or undefined. `insecureLocal`: on loopback, also without TLS.
 */
export function problemOfUrl(text: string, insecureLocal: boolean): string | undefined {
  if (text.length > 2_048) return 'it has more than 2,048 characters';
  if (!URL.canParse(text)) return 'it is no address';
  const url = new URL(text);
  if (url.protocol !== 'https:' && !(insecureLocal && url.protocol === 'http:'))
    return insecureLocal ? 'it begins with neither https:// nor http://' : 'it does not begin with https://';
  if (url.username !== '' || url.password !== '') return 'it holds a user name or password';
  if (url.hash !== '') return 'it has a part after #';
  if (isRefusedLiteral(url, allowed(insecureLocal)))
    return insecureLocal ? 'it is not on loopback' : 'it is no address that the whole internet reaches';
  return undefined;
}

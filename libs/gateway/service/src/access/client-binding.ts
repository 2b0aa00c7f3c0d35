// Whom a session belongs to: the program that opened it, and roughly where it was.

import type { Binding } from '@nexusmon/access-contract';
import type { BindingMode } from '@nexusmon/access-domain';
import { hash } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';

const MAPPED = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;

/** The eight groups of an IPv6 address. */
const groupsOf = (address: string): string[] => {
  const [head = '', tail] = address.split('::', 2);
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const missing = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array.from({ length: missing }, () => '0'), ...after].map((group) =>
    Number.parseInt(group, 16).toString(16),
  );
};

const plainOf = (address: string): string => MAPPED.exec(address)?.[1] ?? address.split('%', 1)[0] ?? '';

/** `strict`: the exact address; `prefix`: /24 or /64; `agent`: the address does not count. */
export const addressPrefix = (address: string, rule: BindingMode): string => {
  if (rule === 'agent') return '';
  const plain = plainOf(address);
  if (isIPv4(plain)) return rule === 'strict' ? plain : `${plain.split('.').slice(0, 3).join('.')}.0/24`;
  if (!isIPv6(plain)) return plain;
  const groups = groupsOf(plain);
  return rule === 'strict' ? groups.join(':') : `${groups.slice(0, 4).join(':')}::/64`;
};

/** What counts as one source: an IPv4 address, and the /64 that every IPv6 host may choose its addresses from. */
export const sourceOf = (address: string): string =>
  addressPrefix(address, isIPv4(plainOf(address)) ? 'strict' : 'prefix');

export const bindingOf = (user_agent: string | undefined, address: string, rule: BindingMode): Binding => ({
  user_agent_digest: hash('sha256', user_agent ?? ''),
  address_prefix: addressPrefix(address, rule),
});

// Which addresses are public: those that anybody may send to, and that lead into nobody's inside.

import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** Public by their range, and still the inside of somebody's cloud. */
const INSIDE: ReadonlySet<string> = new Set(['168.63.129.16']);
/** 2000::/3: all of IPv6 that is handed out to the public. What lies outside translates, tunnels or is reserved. */
const GLOBAL_UNICAST = { mask: 0xe000, prefix: 0x2000 } as const;

/** Loopback, private, link-local, shared, multicast, reserved, translated and tunnelled addresses are not. */
export const isPublic = (address: string): boolean => {
  // Only plain forms: ipaddr.js reads more of them than a resolver ever gives.
  if (address.includes('%') || isIP(address) === 0) return false;
  const parsed = ipaddr.parse(address);
  if (parsed.range() !== 'unicast') return false;
  if (parsed instanceof ipaddr.IPv4) return !INSIDE.has(parsed.toString());
  return ((parsed.parts[0] ?? 0) & GLOBAL_UNICAST.mask) === GLOBAL_UNICAST.prefix;
};

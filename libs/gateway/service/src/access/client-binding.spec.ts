import { describe, expect, it } from '@jest/globals';
import { addressPrefix, bindingOf, sourceOf } from './client-binding.js';

describe('the address of a client', () => {
  it.each([
    ['192.168.7.9', 'prefix', '192.168.7.0/24'],
    ['::ffff:192.168.7.9', 'prefix', '192.168.7.0/24'],
    ['192.168.7.9', 'strict', '192.168.7.9'],
    ['192.168.7.9', 'agent', ''],
    ['2001:db8:1:2:3:4:5:6', 'prefix', '2001:db8:1:2::/64'],
    ['2001:0db8:0001::6', 'prefix', '2001:db8:1:0::/64'],
    ['::1', 'prefix', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'prefix', 'fe80:0:0:0::/64'],
    ['2001:db8::6', 'strict', '2001:db8:0:0:0:0:0:6'],
    ['unknown', 'prefix', 'unknown'],
  ] as const)('%s under %s is %s', (address, rule, prefix) => {
    expect(addressPrefix(address, rule)).toBe(prefix);
  });

  it.each([
    ['192.168.7.9', '192.168.7.9'],
    ['::ffff:192.168.7.9', '192.168.7.9'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::ffff', '2001:db8:1:2::/64'],
  ])('%s counts as %s', (address, source) => expect(sourceOf(address)).toBe(source));

  it('tells user agents apart, a missing one too', () => {
    const digests = ['curl/8', 'curl/9', undefined].map((agent) => bindingOf(agent, '::1', 'prefix').user_agent_digest);
    expect(new Set(digests).size).toBe(3);
  });
});

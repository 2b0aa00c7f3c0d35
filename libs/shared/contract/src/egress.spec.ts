// `E1`–`E3` are the numbers in egress.ts.

import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseEgressRule, permittedUrl, type EgressRule } from './egress.js';

const ruleOf = (entry: string): EgressRule => {
  const parsed = parseEgressRule(entry);
  if ('fault' in parsed) throw new Error(`${entry}: ${parsed.fault}`);
  return parsed.rule;
};
const permits = (entries: readonly string[], url: string) => permittedUrl(url, entries.map(ruleOf)).permitted;

describe('an entry of the list', () => {
  it.each([
    ['example.org', 'https://example.org:443'],
    ['Example.ORG', 'https://example.org:443'],
    ['https://example.org', 'https://example.org:443'],
    ['http://example.org', 'http://example.org:80'],
    ['example.org:8443', 'https://example.org:8443'],
    ['*.example.org', 'https://*.example.org:443'],
    ['http://*.example.org:8080', 'http://*.example.org:8080'],
    ['bücher.example', 'https://xn--bcher-kva.example:443'],
    ['intranet', 'https://intranet:443'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080'],
    ['[::1]:8443', 'https://[::1]:8443'],
  ])('%s means %s, and reads as itself (E2)', (entry, text) => {
    expect(ruleOf(entry).text).toBe(text);
    expect(ruleOf(text)).toEqual(ruleOf(entry));
  });

  it.each([
    ...['', '*', '*:443', '*.org', '*.*.org', 'a.*.org', 'ftp://example.org', 'example.org/path', 'example.org?q'],
    ...['user@example.org', 'example.org:0', 'example.org:65536', 'example.org:x', 'exa mple.org', 'example.org.'],
    ...['.example.org', 'example..org', '-example.org', 'http://', 'https://*', '*.[::1]:80', '*.127.0.0.1:80'],
    // An address without its port, or spelled as another one.
    ...['127.0.0.1', '[::1]', '0x7f.1:80', '2130706433:80', '0177.0.0.1:80', '127.1:80', '[0:0:0:0:0:0:0:1]:80'],
    ...['[::ffff:127.0.0.1]:80', '１２７.0.0.1:80', '[fe80::1%25eth0]:80'],
  ])('%j is refused (E1 to E3)', (entry) => expect(parseEgressRule(entry)).toHaveProperty('fault'));
});

describe('a URL', () => {
  it.each([
    ['example.org', 'https://example.org/'],
    ['example.org', 'https://EXAMPLE.org:443/a?b#c'],
    ['http://example.org', 'http://example.org/'],
    ['*.example.org', 'https://a.example.org/'],
    ['*.example.org', 'https://a.b.example.org/'],
    ['bücher.example', 'https://BÜCHER.example/'],
    // A backslash is a slash to the parser that requests go through.
    ['example.org', 'https://example.org\\.evil.example/'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080/'],
    ['http://127.0.0.1:8080', 'http://0x7f.0.0.1:8080/'],
  ])('is permitted by %s: %s', (entry, url) => expect(permits([entry], url)).toBe(true));

  it.each([
    ['example.org', 'http://example.org/'],
    ['http://example.org', 'https://example.org/'],
    ['example.org', 'https://example.org:8443/'],
    ['example.org', 'https://example.org./'],
    ['example.org', 'https://a.example.org/'],
    ['example.org', 'https://example.org.evil.example/'],
    ['example.org', 'https://evilexample.org/'],
    ['*.example.org', 'https://example.org/'],
    ['*.example.org', 'https://evilexample.org/'],
    ['*.example.org', 'https://a.example.org.evil.example/'],
    ['example.org', 'https://evil.example/?https://example.org'],
    ['example.org', 'https://evil.example#example.org'],
    ['example.org', 'https://example.org@evil.example/'],
    ['example.org', 'https://user:pass@example.org/'],
    ['example.org', 'https://evil.example\\@example.org/'],
    ['example.org', 'ftp://example.org/'],
    ['example.org', 'file:///etc/passwd'],
    ['example.org', 'javascript:alert(1)'],
    ['example.org', 'data:text/plain,x'],
    ['example.org', '//example.org/'],
    ['example.org', '/path'],
    ['example.org', ''],
    ['example.org', 'https://exаmple.org/'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8081/'],
    ['http://127.0.0.1:8080', 'http://127.0.0.2:8080/'],
    ['http://127.0.0.1:8080', 'http://localhost:8080/'],
    ['http://127.0.0.1:8080', 'http://[::ffff:127.0.0.1]:8080/'],
  ])('is not permitted by %s: %s (E1)', (entry, url) => expect(permits([entry], url)).toBe(false));

  it('is permitted by no list that is empty (E1)', () =>
    fc.assert(fc.property(fc.webUrl(), (url) => expect(permittedUrl(url, []).permitted).toBe(false))));

  it('that is permitted has the host of its rule, or one below it', () =>
    fc.assert(
      fc.property(fc.webUrl({ withFragments: true, withQueryParameters: true }), fc.domain(), (url, host) => {
        const rules = [ruleOf(host), ruleOf(`*.${host}`), ruleOf(`http://${host}`)];
        const found = permittedUrl(url, rules);
        const { hostname } = new URL(url);
        expect(found.permitted).toBe(hostname === host || hostname.endsWith(`.${host}`));
      }),
    ));

  it('that is relative is told from where it stands', () => {
    const found = permittedUrl('/b?c#d', [ruleOf('example.org')], new URL('https://example.org/a'));
    expect(found.permitted && found.url.href).toBe('https://example.org/b?c');
    expect(permittedUrl('//evil.example/', [ruleOf('example.org')], new URL('https://example.org/a')).permitted).toBe(
      false,
    );
  });
});

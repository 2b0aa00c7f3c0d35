// Egress: the places outside that work may reach, as the operator lists them.
//
//   E1. Nothing is reachable unless an entry names its scheme, host and port. There is no entry for everything.
//   E2. An entry means https on port 443 unless it says otherwise; `*.` stands for every name below, not for the name
//       itself, and at least two labels follow it.
//   E3. An address is listed as itself, in its plain form and with its port. Only so can an address be reached that is
//       not public: no name leads there.

/** `text` is the one way to write it, and parses to the same again. */
export type EgressRule = Readonly<{
  text: string;
  scheme: 'http' | 'https';
  host: string;
  port: number;
  /** Whether it stands for the names below `host`. */
  below: boolean;
  /** Whether `host` is an IP address. */
  address: boolean;
}>;

export type ParsedRule = Readonly<{ rule: EgressRule }> | Readonly<{ fault: string }>;

const ENTRY = /^(?:(https?):\/\/)?(\*\.)?([^\s/:?#@*[\]]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$/i;
const PORTS = { http: 80, https: 443 } as const;
const PORT_MAX = 65_535;
const LABEL = /^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/;

const isAddress = (host: string) => host.startsWith('[') || /^[0-9.]+$/.test(host);

export const parseEgressRule = (entry: string): ParsedRule => {
  const [, written_scheme, wildcard, written_host, written_port] = ENTRY.exec(entry.trim()) ?? [];
  if (written_host === undefined) return { fault: 'it is not [http://]host[:port] or *.host' };
  const scheme = written_scheme?.toLowerCase() === 'http' ? 'http' : 'https';
  // The parser that requests go through says how the host is really called: IDN, case, and the spellings of addresses.
  const host = URL.parse(`${scheme}://${written_host}`)?.hostname;
  if (host === undefined || host === '') return { fault: 'it names no host' };
  const address = isAddress(host);
  const below = wildcard !== undefined;
  const port = written_port === undefined ? PORTS[scheme] : Number(written_port);
  if (port < 1 || port > PORT_MAX) return { fault: `${port} is no port` };
  if (address && host !== written_host.toLowerCase()) return { fault: `this address is written ${host}` };
  if (address && below) return { fault: 'there is nothing below an address' };
  if (address && written_port === undefined) return { fault: 'an address is listed with its port' };
  const labels = host.split('.');
  if (!address && !labels.every((label) => LABEL.test(label))) return { fault: `${host} is not the name of a host` };
  if (below && labels.length < 2) return { fault: 'a wildcard is followed by at least two labels' };
  const text = `${scheme}://${below ? '*.' : ''}${host}:${port}`;
  return { rule: { text, scheme, host, port, below, address } };
};

export type PermittedUrl =
  Readonly<{ permitted: true; url: URL; rule: EgressRule }> | Readonly<{ permitted: false; message: string }>;

const hostFits = ({ host, below }: EgressRule, hostname: string) =>
  below ? hostname.endsWith(`.${host}`) : hostname === host;

/** The URL as it will be asked for, if the list permits it. `base`: what a relative one is relative to. */
export const permittedUrl = (text: string, rules: readonly EgressRule[], base?: URL): PermittedUrl => {
  const refused = (message: string) => ({ permitted: false, message }) as const;
  const url = URL.parse(text, base?.href);
  if (!url) return refused('it is not a URL');
  const scheme = url.protocol.slice(0, -1);
  if (scheme !== 'http' && scheme !== 'https') return refused(`${scheme} is neither https nor http`);
  if (url.username !== '' || url.password !== '') return refused('a URL with credentials in it is not used');
  const port = url.port === '' ? PORTS[scheme] : Number(url.port);
  url.hash = '';
  const rule = rules.find((each) => each.scheme === scheme && each.port === port && hostFits(each, url.hostname));
  if (rule) return { permitted: true, url, rule };
  return refused(`${scheme}://${url.hostname}:${port} is not on the list of hosts that may be reached`);
};

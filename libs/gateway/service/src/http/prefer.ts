// RFC 7240, as far as it is honoured here: `wait=<seconds>`. Other preferences are ignored, as the RFC asks.

/** The longest that one request is held open. A longer wish is cut to this, and Preference-Applied says so. */
export const WAIT_SECONDS_MAX = 120;

/** Seconds to wait, or undefined when there is no such (valid) preference. The first one counts. */
export const preferredWait = (header: string | readonly string[] | undefined): number | undefined => {
  const text = typeof header === 'string' ? header : header?.join(',');
  for (const preference of (text ?? '').split(',')) {
    const [token = ''] = preference.split(';');
    const [name = '', value = ''] = token.split('=', 2).map((part) => part.trim());
    if (name.toLowerCase() !== 'wait') continue;
    const seconds = /^"?(\d{1,6})"?$/.exec(value)?.[1];
    return seconds === undefined ? undefined : Math.min(Number(seconds), WAIT_SECONDS_MAX);
  }
  return undefined;
};

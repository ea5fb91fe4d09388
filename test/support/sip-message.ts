/** A SIP message of a trace. */
export interface TracedMessage {
  readonly direction: 'sent' | 'received';
  readonly startLine: string;
  /** Of responses. */
  readonly status?: number;
  /** Of requests. */
  readonly method?: string;
  readonly body: string;
  /** The values of a header, one for each line. */
  headers(name: string): string[];
  /** The first line of a header. */
  header(name: string): string | undefined;
}

/** Reads one SIP message. */
export function parseTraced(direction: TracedMessage['direction'], text: string): TracedMessage {
  const [head = '', ...rest] = text.split(/\r?\n\r?\n/);
  const [startLine = '', ...lines] = head.split(/\r?\n/);
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  const [, status] = /^SIP\/2\.0 (\d{3})/.exec(startLine) ?? [];
  const valuesOf = (name: string): string[] =>
    headers.filter(([key]) => key === name.toLowerCase()).map(([, value]) => value);
  return {
    direction,
    startLine,
    ...(status === undefined ? { method: startLine.split(' ')[0]! } : { status: Number(status) }),
    body: rest.join('\r\n\r\n').trim(),
    headers: valuesOf,
    header: (name) => valuesOf(name)[0],
  };
}

/** The address for audio in an SDP: of the first audio m-line that is not rejected. */
export function audioAddressOf(sdp: string): { host: string; port: number } {
  const host = /^c=IN IP[46] (\S+)/m.exec(sdp)?.[1];
  const port = /^m=audio ([1-9]\d*)/m.exec(sdp)?.[1];
  if (host === undefined || port === undefined) throw new Error(`no audio in this SDP:\n${sdp}`);
  return { host, port: Number(port) };
}

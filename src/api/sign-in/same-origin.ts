import type { IncomingHttpHeaders } from 'node:http';
import { PatchbayError } from '../../core/index.js';

/**
 * Whether a request was made by a page of the gateway itself, and not by one of another site, or of another port of the
 * same host, which share its cookies. Browsers say so in `Sec-Fetch-Site`, except over plain HTTP from another machine;
 * there, and in old ones, `Origin` has to name the host that the request is for.
 */
export function isSameOrigin({ headers }: { readonly headers: IncomingHttpHeaders }): boolean {
  const { 'sec-fetch-site': site, origin = '', host = '' } = headers;
  if (site !== undefined) return site === 'same-origin';
  return URL.canParse(origin) && host !== '' && new URL(origin).host === host.toLowerCase();
}

export const crossSite = (): PatchbayError =>
  new PatchbayError(
    'PATCHBAY_CROSS_SITE',
    'A signed-in browser may change something from a page of this gateway only. Programs authenticate by HTTP Basic.',
  );

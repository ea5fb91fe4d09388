// Starts only where a token can, and looks only so far: hostile text must not make the search slow.
const JWT = /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*/g;
const URI_TOKEN = /((?:[;?&]token|User-to-User)=)[^;?&>\s"]+/gi;
const SECRET_HEADER = /^(User-to-User|X-[^:\r\n]{0,64}Token[^:\r\n]{0,64})([ \t]*:[ \t]*).*$/gim;

/** Makes a function that hides participant tokens in the text of a message; `headers` names more that carry one. */
export function tokenMask(headers: readonly string[]): (text: string) => string {
  const names = headers.map((name) => name.replace(/[^A-Za-z0-9-]/g, '')).filter((name) => name !== '');
  const more = names.length > 0 ? new RegExp(`^(${names.join('|')})([ \\t]*:[ \\t]*).*$`, 'gim') : undefined;
  return (text) => {
    // A folded header would hide its second line from the patterns.
    const end = text.indexOf('\r\n\r\n');
    const head = (end < 0 ? text : text.slice(0, end)).replace(/\r\n[ \t]+/g, ' ');
    const masked = head.replace(SECRET_HEADER, '$1$2***').replace(URI_TOKEN, '$1***').replace(JWT, '***');
    const body = end < 0 ? '' : text.slice(end).replace(JWT, '***');
    return (more ? masked.replace(more, '$1$2***') : masked) + body;
  };
}

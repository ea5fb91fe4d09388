import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** Serves test pages, by default from 127.0.0.1, which is a secure context for browsers. */
export interface PageServer {
  readonly url: string;
  /** Serves a script as `/name.js`, which the page `/?name` loads. */
  put(path: string, script: string): void;
  close(): Promise<void>;
}

const html = (query: string): string =>
  `<!doctype html><meta charset="utf-8"><title>test</title><body><script src="/${query}.js"></script>`;

/** @param host the address to serve from; pages have capture devices only on 127.0.0.1 */
export async function servePages(host = '127.0.0.1'): Promise<PageServer> {
  const scripts = new Map<string, string>();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://127.0.0.1');
    const script = scripts.get(url.pathname);
    if (script !== undefined) {
      response.setHeader('Content-Type', 'text/javascript; charset=utf-8').end(script);
    } else if (url.pathname === '/') {
      response.setHeader('Content-Type', 'text/html').end(html(encodeURIComponent(url.search.slice(1))));
    } else {
      response.writeHead(404).end();
    }
  });
  await once(server.listen(0, host), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host}:${String(port)}`,
    put: (path, script) => void scripts.set(path, script),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

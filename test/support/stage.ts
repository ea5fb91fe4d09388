import { afterAll, afterEach, beforeAll } from 'vitest';
import { launchChromium, type TestBrowser } from './chromium.js';
import { type GatewayOptions, startGateway, type TestGateway } from './gateway.js';
import { Rest } from './rest.js';

/** A gateway, its REST client and a browser, for the tests of one file. */
interface Stage {
  readonly gateway: TestGateway;
  readonly chrome: TestBrowser;
  readonly rest: Rest;
}

/** Call it at the top of a file. The parts are there from `beforeAll` on; pages are closed after each test. */
export function useStage(options: GatewayOptions = {}): Stage {
  let gateway: TestGateway | undefined;
  let chrome: TestBrowser | undefined;

  beforeAll(async () => {
    [gateway, chrome] = await Promise.all([startGateway(options), launchChromium()]);
  });
  afterEach(() => chrome?.closePages());
  afterAll(async () => {
    await Promise.all([chrome?.close(), gateway?.stop()]);
  });

  return {
    get gateway() {
      return started(gateway);
    },
    get chrome() {
      return started(chrome);
    },
    get rest() {
      return new Rest(started(gateway));
    },
  };
}

function started<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('The stage is set up in beforeAll: use it in tests only.');
  return part;
}

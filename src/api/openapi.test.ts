import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startApi, type TestGateway } from './testing/gateway.js';

interface Operation {
  operationId: string;
  summary: string;
  responses: Record<string, { description: string; content?: unknown }>;
  security?: unknown[];
}

interface Document {
  openapi: string;
  info: { version: string; description: string };
  paths: Record<string, Record<string, Operation>>;
  webhooks: Record<string, { post: unknown }>;
  components: { schemas: Record<string, object> };
}

let gateway: TestGateway;
let document: Document;
beforeAll(async () => {
  gateway = await startApi();
  const response = await fetch(`${gateway.url}/openapi.json`);
  expect(response.headers.get('content-type')).toContain('application/json');
  document = (await response.json()) as Document;
});
afterAll(() => gateway.stop());

const operations = () => Object.values(document.paths).flatMap((path) => Object.values(path));

describe('the OpenAPI document', () => {
  it('is a valid one of version 3.1', async () => {
    const result = await new Validator().validate({ ...structuredClone(document) });
    expect(result).toMatchObject({ valid: true });
    expect(document.openapi).toBe('3.1.0');
  });

  it('has every operation of the published clients, and ours', () => {
    const ids = operations().map(({ operationId }) => operationId);
    expect(ids.sort()).toEqual(
      [
        ...['createParticipant', 'getParticipant', 'deleteParticipant', 'createSession', 'getSession'],
        ...['deleteSession', 'listSessionParticipants', 'addParticipantToSession'],
        ...['removeParticipantFromSession', 'getParticipantSubscriptions', 'updateParticipantSubscriptions'],
        ...[
          'listSessions',
          'listParticipants',
          'updateParticipant',
          'getDevice',
          'updateDevice',
          'disconnectDevice',
          'sendDtmf',
          'getUsage',
          'listFailedCalls',
          'getIceServers',
          'playToSession',
          'getSessionMedia',
          'playToMember',
          'getMemberMedia',
          'playToParticipant',
          'getParticipantMedia',
          'listMedia',
          'uploadMedia',
          'downloadMedia',
          'deleteMedia',
          'readEvents',
          'getGateway',
          'listCalls',
          'getCall',
          'getCallTrace',
          'deleteCallTrace',
          'getCallQuality',
        ],
        ...['connectProgram', 'getProgram', 'disconnectProgram'],
        ...['placeTestCall', 'listTestCalls', 'getTestCall', 'endTestCall'],
        ...['isAlive', 'isReady'],
      ].sort(),
    );
  });

  it('documents the errors of every operation that needs credentials', () => {
    for (const { operationId, security, responses } of operations()) {
      const expected = security ? ['200'] : ['400', '401', '429', '500', '503'];
      expect(Object.keys(responses), operationId).toEqual(expect.arrayContaining(expected));
    }
  });

  it('has the version and the limits of this gateway', () => {
    expect(document.info.version).toBe('1.2.3');
    for (const words of [
      '7 hours',
      '1,234 a second',
      '| 8 MB | 429; 503 when all accounts together use 64 MB',
      '| 55 |',
    ]) {
      expect(document.info.description).toContain(words);
    }
  });

  it('documents the webhooks', () => {
    const asked = ['onHold', 'onResume', 'onCallFailed', 'onSpeaking', 'onAnnouncement'];
    expect(Object.keys(document.webhooks)).toEqual([
      'onConnect',
      'onLeave',
      'onDisconnect',
      ...asked,
      'onDtmf',
    ]);
  });

  it('refers only to its own components, and has no keywords of our validator', () => {
    const text = JSON.stringify(document);
    for (const [, name] of text.matchAll(/"\$ref":"([^"]+)"/g)) {
      const [, schema] = /^#\/components\/schemas\/(\w+)$/.exec(name!) ?? [];
      expect(document.components.schemas).toHaveProperty(schema!);
    }
    expect(text.includes('toEnumCase')).toBe(false);
  });
});

describe('the page to read it', () => {
  it('loads nothing from other servers', async () => {
    const page = await fetch(`${gateway.url}/docs`);
    expect(page.status).toBe(200);
    const policy = page.headers.get('content-security-policy');
    expect(policy).toContain("default-src 'self'");
    expect(policy).not.toMatch(/https?:|upgrade-insecure/);
    const html = await page.text();
    const assets = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);
    expect(assets.length).toBeGreaterThan(3);
    for (const path of assets) {
      expect(path).toMatch(/^\/docs\//);
      const asset = await fetch(gateway.url + path);
      expect(asset.status, path).toBe(200);
      await asset.arrayBuffer();
    }
  });
});

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Arbitraries, type Schema, spoilt } from './testing/arbitraries.js';
import { TestDevice } from './testing/device.js';
import { ACCOUNT, startApi, type TestGateway } from './testing/gateway.js';
import { startStoredCore, type StoredCore } from './testing/stored-core.js';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 40);
const PREFIX = '/v1/accounts/{accountId}';

interface Parameter {
  name: string;
  in: 'path' | 'query';
  schema: Schema;
}

interface Operation {
  operationId: string;
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
}

interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

/** An operation with values for all its parameters and its body. Ids are still names such as `#s1`. */
interface Call {
  path: string;
  method: string;
  operation: Operation;
  values: Record<string, string | number | undefined>;
  body: { text?: string | undefined; spoilt: boolean };
}

let stored: StoredCore;
let gateway: TestGateway;
let document: Document;
let ajv: Ajv2020;
const validators = new Map<string, ValidateFunction>();
/** How many responses had each status. */
const seen = new Map<number, number>();
beforeAll(async () => {
  stored = await startStoredCore();
  gateway = await startApi(stored);
  document = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as Document;
  ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema(document, 'document');
});
afterAll(async () => {
  await gateway.stop();
  await stored.stop();
});

afterEach(forgetAll);

function forgetAll(): void {
  const { core } = stored;
  for (const { id } of core.sessions(ACCOUNT.id, { limit: 1000 }).items) core.deleteSession(ACCOUNT.id, id);
  for (const { id } of core.participants(ACCOUNT.id, { limit: 1000 }).items) {
    core.deleteParticipant(ACCOUNT.id, id);
  }
}

/** Names of ids: the n-th session or participant of the run, or rarely any text. */
const ids = (name: string) =>
  fc.oneof(
    { weight: 9, arbitrary: fc.nat(3).map((index) => (name === 'sessionId' ? `#s${index}` : `#p${index}`)) },
    {
      weight: 1,
      arbitrary: fc
        .string({ unit: 'binary', minLength: 1, maxLength: 40 })
        .filter((id) => !/^\.*$/.test(id) && !id.includes('\0')),
    },
  );

function calls(): fc.Arbitrary<Call> {
  const arbitraries = new Arbitraries(document.components.schemas, ids);
  const all = Object.entries(document.paths)
    .filter(([path]) => path.startsWith(PREFIX))
    .flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) => ({ path, method, operation })),
    );
  expect(all.length).toBeGreaterThan(15);
  // Operations that create sessions and participants, and add one to the other, come more often than others.
  const often = all.filter(
    ({ method, path }) => method === 'post' || (method === 'put' && /s\/{\w+}$/.test(path)),
  );
  return fc.oneof(
    ...[...all, ...often, ...often].map(({ path, method, operation }) =>
      fc.record({
        path: fc.constant(path),
        method: fc.constant(method.toUpperCase()),
        operation: fc.constant(operation),
        values: valuesOf(operation, arbitraries),
        body: bodyOf(operation, arbitraries),
      }),
    ),
  );
}

function valuesOf({ parameters = [] }: Operation, arbitraries: Arbitraries) {
  const named = parameters.map(({ name, schema }) => [name, arbitraries.of(schema, name)]);
  const requiredKeys = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name);
  return fc.record(Object.fromEntries(named) as Record<string, fc.Arbitrary<string | number>>, {
    requiredKeys,
  });
}

function bodyOf({ requestBody }: Operation, arbitraries: Arbitraries): fc.Arbitrary<Call['body']> {
  const nothing = fc.constant({ spoilt: false });
  if (!requestBody) return nothing;
  const json = requestBody.content['application/json'];
  // A file.
  if (!json) return fc.string().map((text) => ({ text, spoilt: true }));
  const good = arbitraries.of(json.schema);
  const text = (json: unknown) => JSON.stringify(json);
  return fc.oneof(
    nothing,
    { weight: 5, arbitrary: good.map((json) => ({ text: text(json), spoilt: false })) },
    { weight: 2, arbitrary: spoilt(good).map((json) => ({ text: text(json), spoilt: true })) },
    fc.string().map((garbage) => ({ text: garbage, spoilt: true })),
  );
}

/** The ids that names such as `#s1` mean in this run. */
class Run {
  readonly #sessions: string[] = [];
  readonly #participants: string[] = [];

  /** Something for the first requests to find. */
  begin(): void {
    this.learn('createSession', stored.core.createSession(ACCOUNT.id, {}));
    this.learn('createParticipant', stored.core.createParticipant(ACCOUNT.id, {}));
  }

  resolve(text: string): string {
    return text.replace(/#([sp])(\d)/g, (name, kind: string, index: string) => {
      const made = kind === 's' ? this.#sessions : this.#participants;
      return made[Number(index) % made.length] ?? name;
    });
  }

  /** Every second participant has a device that publishes something. */
  learn(operationId: string, answer: unknown): void {
    if (operationId === 'createSession') this.#sessions.push((answer as { id: string }).id);
    if (operationId !== 'createParticipant') return;
    const { id } = (answer as { participant: { id: string } }).participant;
    this.#participants.push(id);
    if (this.#participants.length % 2 === 0) return;
    const device = new TestDevice(stored.core, id);
    device.connection.publish([{ streamId: id, alias: 'a', mediaTypes: ['audio'] }]);
  }
}

async function make(call: Call, run: Run): Promise<void> {
  const { method, operation, body } = call;
  const before = snapshot();
  const init = body.text === undefined ? {} : { body: run.resolve(body.text) };
  const response = await fetch(urlOf(call, run), {
    method,
    headers: { 'content-type': 'application/json', authorization: AUTHORIZATION },
    ...init,
  });
  const text = await textOf(response);
  seen.set(response.status, (seen.get(response.status) ?? 0) + 1);
  const said = `${method} ${operation.operationId} ${init.body ?? ''} -> ${response.status} ${text}`;

  expect(response.status, said).toBeLessThan(500);
  expectDocumented(operation, response, text, said);
  if (response.status >= 400) expect(snapshot(), said).toEqual(before);
  // A request that fits the document is refused only for a rule that no schema can express.
  if (response.status === 400 && !body.spoilt)
    expect(text, said).toMatch(/sessionId|cursor|digits|mediaUrl|mediaState|url|participantId/);
  if (response.ok && text !== '' && method === 'POST') run.learn(operation.operationId, JSON.parse(text));
}

/** The whole of an answer or, of a stream that stays open, its beginning. */
async function textOf(response: Response): Promise<string> {
  if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true) return response.text();
  const reader = response.body!.getReader();
  const { value } = (await reader.read()) as { readonly value?: Uint8Array };
  await reader.cancel();
  return Buffer.from(value ?? []).toString();
}

const AUTHORIZATION = `Basic ${Buffer.from(`${ACCOUNT.user}:${ACCOUNT.password}`).toString('base64')}`;

function urlOf({ path, operation, values }: Call, run: Run): string {
  const query = new URLSearchParams();
  let pathname = path.replace('{accountId}', ACCOUNT.id);
  for (const parameter of operation.parameters ?? []) {
    const value = values[parameter.name];
    if (value === undefined || parameter.name === 'accountId') continue;
    const text = run.resolve(String(value));
    if (parameter.in === 'query') query.set(parameter.name, text);
    else pathname = pathname.replace(`{${parameter.name}}`, () => encodeURIComponent(text));
  }
  return `${gateway.url}${pathname}?${query.toString()}`;
}

function expectDocumented(operation: Operation, response: Response, text: string, said: string): void {
  const documented = operation.responses[response.status];
  expect(documented, said).toBeDefined();
  const type = response.headers.get('content-type')?.split(';')[0];
  const schema = type === undefined ? undefined : documented?.content?.[type]?.schema;
  if (!documented?.content) expect(text, said).toBe('');
  else expect(schema, said).toBeDefined();
  if (!schema || type !== 'application/json') return;
  const pointer = JSON.stringify(schema).replaceAll('"#/', '"document#/');
  let validate = validators.get(pointer);
  if (!validate) validators.set(pointer, (validate = ajv.compile(JSON.parse(pointer) as object)));
  expect(validate(JSON.parse(text)), `${said} ${JSON.stringify(validate.errors)}`).toBe(true);
}

function snapshot(): unknown {
  const { core } = stored;
  return {
    sessions: core.sessions(ACCOUNT.id, { limit: 1000 }),
    participants: core.participants(ACCOUNT.id, { limit: 1000 }),
    counts: core.counts(),
  };
}

/** Session and participant agree on membership, and nobody receives anything from outside of their session. */
function expectConsistent(): void {
  const { core } = stored;
  const participants = core.participants(ACCOUNT.id, { limit: 1000 }).items;
  for (const { id } of core.sessions(ACCOUNT.id, { limit: 1000 }).items) {
    const members = core.members(ACCOUNT.id, id).map((member) => member.id);
    expect(members.length).toBeLessThanOrEqual(20);
    const claims = participants.filter(({ sessionId }) => sessionId === id).map((member) => member.id);
    expect(members.toSorted()).toEqual(claims.toSorted());
  }
  for (const { id, sessionId, subscriptions } of participants) {
    if (sessionId === undefined) expect(subscriptions).toEqual({});
    for (const { participantId } of core.device(ACCOUNT.id, id)?.delivery ?? []) {
      expect(participantId).not.toBe(id);
      expect(core.participant(ACCOUNT.id, participantId).sessionId).toBe(sessionId);
    }
  }
}

describe('requests made from the OpenAPI document', () => {
  it(
    'are answered as it says, good and bad ones, and leave the state in order',
    { timeout: 60_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(calls(), { minLength: 5, maxLength: 25 }), async (history) => {
          forgetAll();
          const run = new Run();
          for (let count = 0; count < 3; count++) run.begin();
          for (const call of history) await make(call, run);
          expectConsistent();
        }),
        { numRuns: RUNS, interruptAfterTimeLimit: 45_000 },
      );
      // An operation that is never answered would take all the time.
      expect([...seen.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(200);
      // If all requests were refused, the test would prove nothing.
      expect([...seen.keys()]).toEqual(expect.arrayContaining([200, 204, 400, 404]));
    },
  );
});

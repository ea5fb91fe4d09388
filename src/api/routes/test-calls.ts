import { AccountPath, type Api, done, DoneSchema, TestCallPath } from '../instance.js';
import {
  NewTestCallSchema,
  type NewTestCallBody,
  optionalBody,
  readErrors,
  ref,
  TestCallSchema,
  TestCallsSchema,
  type TestCallView,
  writeErrors,
} from '../schemas/index.js';
import { moment } from '../views.js';

/** A test call as `TestCallControl` has it: times are epoch milliseconds. */
type TestCallFacts = Omit<TestCallView, 'startedAt' | 'endedAt' | 'steps'> & {
  readonly steps?: readonly (Omit<NonNullable<TestCallView['steps']>[number], 'at'> & {
    readonly at: number;
  })[];
  readonly startedAt: number;
  readonly endedAt?: number;
};

/** Test calls of accounts. Methods throw `PatchbayError`. */
export interface TestCallControl {
  start(accountId: string, call: NewTestCallBody): TestCallFacts;
  get(accountId: string, testCallId: string): TestCallFacts;
  /** The newest first. */
  list(accountId: string): readonly TestCallFacts[];
  /** Hangs up. */
  end(accountId: string, testCallId: string): Promise<void>;
}

const tags = ['Test calls'];

function testCallView({ startedAt, endedAt, steps, ...facts }: TestCallFacts): TestCallView {
  return {
    ...facts,
    startedAt: moment(startedAt),
    ...(endedAt !== undefined && { endedAt: moment(endedAt) }),
    ...(steps && { steps: steps.map(({ at, ...step }) => ({ ...step, at: moment(at) })) }),
  };
}

/** Routes for calls of the built-in test caller. */
export function testCallRoutes(api: Api, testCalls: TestCallControl): void {
  api.post(
    '/testCalls',
    {
      schema: {
        operationId: 'placeTestCall',
        tags,
        summary: 'Call a participant from a built-in phone, or try an application',
        description:
          "A SIP client in the gateway's own process calls the gateway's real SIP port with the participant's token, sings a " +
          'scale, and measures what comes back, whatever `PATCHBAY_SIP_ALLOW` says. 409: the account has a test call ' +
          'already. 429: it has placed too many: ten at once, and one every 5 s in the long run. Usage records of test ' +
          'calls have `test: true`. Instead of `participantId`, give `answerUrl` or `bxml` to try an application: the gateway ' +
          'then behaves as Bandwidth’s Voice API would; see docs/voice-api-trial.md. 403: `PATCHBAY_VOICE_API_TRIAL` is off.',
        params: AccountPath,
        body: optionalBody(NewTestCallSchema),
        response: { 201: ref(TestCallSchema, 'The call is being placed.'), ...writeErrors(403, 404, 409) },
      },
    },
    ({ params: { accountId }, body }, reply) => {
      reply.code(201);
      return testCallView(testCalls.start(accountId, body ?? {}));
    },
  );

  api.get(
    '/testCalls',
    {
      schema: {
        operationId: 'listTestCalls',
        tags,
        summary: 'The last test calls, also those that are over',
        description: 'Since the start of the gateway.',
        params: AccountPath,
        response: { 200: ref(TestCallsSchema, 'The test calls.'), ...readErrors() },
      },
    },
    ({ params: { accountId } }) => ({ items: testCalls.list(accountId).map(testCallView) }),
  );

  api.get(
    '/testCalls/:testCallId',
    {
      schema: {
        operationId: 'getTestCall',
        tags,
        summary: 'A test call and its result so far',
        params: TestCallPath,
        response: { 200: ref(TestCallSchema, 'The test call.'), ...readErrors(404) },
      },
    },
    ({ params }) => testCallView(testCalls.get(params.accountId, params.testCallId)),
  );

  api.delete(
    '/testCalls/:testCallId',
    {
      schema: {
        operationId: 'endTestCall',
        tags,
        summary: 'Hang up a test call',
        description: 'Its result can still be read.',
        params: TestCallPath,
        response: { 204: DoneSchema, ...writeErrors(404) },
      },
    },
    async ({ params }, reply) => {
      await testCalls.end(params.accountId, params.testCallId);
      done(reply);
    },
  );
}

import type { TestGateway } from './gateway.js';

export interface TestParticipant {
  readonly id: string;
  readonly token: string;
}

export interface SubscriptionsBody {
  sessionId?: string;
  participants?: readonly { participantId: string; streamAliases?: readonly string[] }[];
}

export interface NewTestParticipant {
  publishPermissions?: readonly ('AUDIO' | 'VIDEO')[];
  tag?: string;
  callbackUrl?: string;
  events?: readonly ('hold' | 'callFailed' | 'speaking' | 'announcement')[];
}

/** As {@link NewTestParticipant}, in a session; without `subscriptions` it receives everyone there. */
export interface NewTestMember extends NewTestParticipant {
  subscriptions?: SubscriptionsBody;
}

interface TestStream {
  readonly streamId: string;
  readonly alias?: string;
  readonly mediaTypes: readonly string[];
  readonly speaking?: boolean;
  readonly levelDb?: number;
}

/** Properties of a device and of its streams that are measured anew all the time. */
const MEASURED: ReadonlySet<string> = new Set(['quality', 'speaking', 'levelDb']);

/** A connected device as REST shows it. */
interface TestDevice {
  readonly id: string;
  readonly kind: 'browser' | 'phone' | 'program';
  /** Of phones. */
  readonly held?: boolean;
  readonly externalId: string;
  readonly received?: { readonly codecs: readonly string[]; readonly encryption: string };
  readonly sent?: { readonly codecs: readonly string[]; readonly encryption: string };
  readonly streams: readonly TestStream[];
  readonly delivery: readonly (TestStream & { readonly participantId: string })[];
  readonly omitted: readonly {
    readonly streamId: string;
    readonly mediaType: string;
    readonly reason: string;
  }[];
}

/** The development account that a gateway has when none is configured. */
export const DEVELOPMENT_ACCOUNT = { id: '9900000', user: 'patchbay', password: 'patchbay' };

/** The account of bystanders, beside that of the tests. */
export const OTHER_ACCOUNT = { id: '9900001', user: 'bystander', password: 'bystander' };

/** Environment of a gateway with both accounts. */
export const TWO_ACCOUNTS = {
  PATCHBAY_ACCOUNTS: [DEVELOPMENT_ACCOUNT, OTHER_ACCOUNT]
    .map(({ id, user, password }) => `${id}:${user}:${password}`)
    .join(','),
};

/** Methods for the REST calls that tests often make. They throw for a status of 400 or more. */
export class Rest {
  readonly #base: string;
  readonly #authorization: string;

  constructor(gateway: Pick<TestGateway, 'httpUrl'>, account = DEVELOPMENT_ACCOUNT) {
    this.#base = `${gateway.httpUrl}/v1/accounts/${account.id}`;
    const credentials = Buffer.from(`${account.user}:${account.password}`).toString('base64');
    this.#authorization = `Basic ${credentials}`;
  }

  async session(tag?: string): Promise<string> {
    const { id } = (await this.request('POST', '/sessions', { tag })) as { id: string };
    return id;
  }

  async participant(options: NewTestParticipant = {}): Promise<TestParticipant> {
    const body = { publishPermissions: ['AUDIO', 'VIDEO'], deviceApiVersion: 'V3', ...options };
    const created = await this.request('POST', '/participants', body);
    const { participant, token } = created as { participant: { id: string }; token: string };
    return { id: participant.id, token };
  }

  /** A new participant in a session. */
  async member(sessionId: string, options: NewTestMember = {}): Promise<TestParticipant> {
    const { subscriptions = { sessionId }, ...about } = options;
    const participant = await this.participant(about);
    await this.join(sessionId, participant.id, subscriptions);
    return participant;
  }

  async join(sessionId: string, participantId: string, subscriptions?: SubscriptionsBody): Promise<void> {
    await this.request('PUT', `/sessions/${sessionId}/participants/${participantId}`, subscriptions);
  }

  async subscribe(sessionId: string, participantId: string, subscriptions: SubscriptionsBody): Promise<void> {
    const path = `/sessions/${sessionId}/participants/${participantId}/subscriptions`;
    await this.request('PUT', path, subscriptions);
  }

  async leave(sessionId: string, participantId: string): Promise<void> {
    await this.request('DELETE', `/sessions/${sessionId}/participants/${participantId}`);
  }

  /** The participant's connected device; throws when there is none. */
  async device(participantId: string): Promise<TestDevice> {
    return (await this.request('GET', `/participants/${participantId}/device`)) as TestDevice;
  }

  /** A device without its {@link MEASURED} properties. */
  async unmeasuredDevice(participantId: string): Promise<unknown> {
    const device = await this.device(participantId);
    return JSON.parse(
      JSON.stringify(device, (key, value: unknown) => (MEASURED.has(key) ? undefined : value)),
    );
  }

  async disconnectDevice(participantId: string): Promise<void> {
    await this.request('DELETE', `/participants/${participantId}/device`);
  }

  async deleteSession(sessionId: string): Promise<void> {
    await this.request('DELETE', `/sessions/${sessionId}`);
  }

  async deleteParticipant(participantId: string): Promise<void> {
    await this.request('DELETE', `/participants/${participantId}`);
  }

  /** Any request below the account. @returns the parsed body, undefined when there is none */
  async request(method: string, path: string, body?: object): Promise<unknown> {
    const response = await fetch(`${this.#base}${path}`, {
      method,
      headers: {
        authorization: this.#authorization,
        ...(body ? { 'content-type': 'application/json' } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${String(response.status)} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }
}

import { expect, vi } from 'vitest';
import type { PhoneAppOptions } from '../../options.js';
import { type FakeRequest, recordingLog } from '../../testing/fakes.js';
import { startApp, type Started } from '../../testing/phone-app.js';
import type { CallStore } from '../call-keeper.js';
import { type CallRecord, readCallRecord } from '../call-record.js';
import { leftCalls } from '../left-calls.js';

export class FakeCalls implements CallStore {
  readonly rows = new Map<string, string>();

  calls(): Promise<{ id: string; document: string }[]> {
    return Promise.resolve([...this.rows].map(([id, document]) => ({ id, document })));
  }

  saveCall(id: string, document: string): void {
    this.rows.set(id, document);
  }

  deleteCall(id: string): void {
    this.rows.delete(id);
  }
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The last note of the only call. */
export async function noteIn(started: Started): Promise<string> {
  await turn();
  return started.media.notes.at(-1)?.[1] ?? '';
}

export const recordIn = async (started: Started): Promise<CallRecord> =>
  readCallRecord(await noteIn(started))!;

/** Another gateway starts, and its media host still has the phone. */
export async function restart(
  before: Started,
  { change, ...options }: Partial<PhoneAppOptions> & { change?: (started: Started) => void } = {},
): Promise<Started> {
  const note = await noteIn(before);
  const started = startApp(options);
  const [deviceId] = before.media.present;
  change?.(started);
  started.media.carry({
    kind: 'phone',
    deviceId: deviceId!,
    note,
    streams: [{ streamId: 'carried', kinds: ['audio'], codecs: ['G722'] }],
  });
  await goOn(started, options.calls);
  return started;
}

export async function goOn(
  started: Started,
  calls: CallStore = new FakeCalls(),
  hosts: readonly string[] = [],
  gatewayId?: string,
): Promise<void> {
  const { log } = recordingLog();
  const carried = started.media.carried();
  await started.app.restore(
    await leftCalls({ carried, hosts, calls, sipServers: ['server'], gatewayId, log }),
  );
  started.srf.app.client = started.srf.agent;
  started.app.sipServerUp();
}

const dialogIn = ({ srf }: Started) => srf.restored.get('dialog-1')!;

/** The phone sends a request in the restored dialog. */
export async function receive(started: Started, request: FakeRequest): Promise<FakeRequest> {
  dialogIn(started).handle(request, request);
  if (request.method !== 'ACK') await vi.waitFor(() => expect(request.final).toBeDefined());
  return request;
}

export const byesOf = ({ srf }: Started): string[] =>
  srf.agent.sent('BYE').map(({ headers }) => headers!['Reason']!);

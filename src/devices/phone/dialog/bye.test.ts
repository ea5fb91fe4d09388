import { afterEach, describe, expect, it, vi } from 'vitest';
import { ServerReturns } from '../app.js';
import { sendBye as send } from './bye.js';
import { FakeDialog } from '../testing/fakes.js';

const returns = new ServerReturns();
const pause = (ms: number): Promise<void> => returns.within(ms);
const sendBye = (dialog: FakeDialog, headers: Record<string, string>, wasAway = false) =>
  send(dialog, headers, { pause, wasAway });

afterEach(() => vi.useRealTimers());

describe('sendBye', () => {
  it('tries again while the SIP server is away', async () => {
    vi.useFakeTimers();
    const dialog = new FakeDialog();
    dialog.answering = () => (dialog.requests.length < 4 ? new Error('socket destroyed') : { status: 200 });
    const sent = sendBye(dialog, { Reason: 'SIP;cause=200' });
    await vi.advanceTimersByTimeAsync(3500);
    await sent;
    expect(dialog.byes).toHaveLength(4);
  });

  it('tries again at once when the SIP server is back', async () => {
    vi.useFakeTimers();
    const dialog = new FakeDialog();
    let back = false;
    dialog.answering = () => (back ? { status: 200 } : new Error('socket destroyed'));
    const sent = sendBye(dialog, { Reason: 'x' });
    await vi.advanceTimersByTimeAsync(10_000);
    back = true;
    returns.announce();
    await sent;
    expect(vi.getTimerCount()).toBe(0);
  });

  it('gives up after half a minute with an error', async () => {
    vi.useFakeTimers();
    const dialog = new FakeDialog();
    dialog.answering = () => new Error('socket destroyed');
    const sent = expect(sendBye(dialog, { Reason: 'x' })).rejects.toThrow('socket destroyed');
    await vi.advanceTimersByTimeAsync(31_500);
    await sent;
    expect(dialog.byes).toHaveLength(7);
  });

  it('is unreachable when the SIP server cannot reach the phone', async () => {
    vi.useFakeTimers();
    const dialog = new FakeDialog();
    dialog.answering = () => Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'EDRACHTIO' });
    const sent = sendBye(dialog, { Reason: 'x' });
    await vi.advanceTimersByTimeAsync(31_500);
    expect(await sent).toBe('unreachable');
    expect(dialog.byes).toHaveLength(7);
  });

  it('is over when the phone’s own BYE has ended the dialog before', async () => {
    const dialog = new FakeDialog();
    dialog.answering = () => FORGOTTEN;
    expect(await sendBye(dialog, { Reason: 'x' })).toBe('over');
    expect(dialog.byes).toHaveLength(1);
  });

  it('is forgotten when the SIP server lost the dialog while it was away', async () => {
    vi.useFakeTimers();
    const dialog = new FakeDialog();
    dialog.answering = () => (dialog.requests.length < 2 ? new Error('socket destroyed') : FORGOTTEN);
    const sent = sendBye(dialog, { Reason: 'x' });
    await vi.advanceTimersByTimeAsync(500);
    expect(await sent).toBe('forgotten');
    expect(await sendBye(dialog, { Reason: 'x' }, true)).toBe('forgotten');
  });

  it('tries again when the connection was lost before the answer', async () => {
    vi.useFakeTimers();
    const dialog = new FakeDialog();
    const destroy = dialog.destroy.bind(dialog);
    let asked = 0;
    dialog.destroy = (options, callback) => {
      asked += 1;
      if (asked > 1) destroy(options, callback);
    };
    const sent = sendBye(dialog, { Reason: 'x' });
    await vi.advanceTimersByTimeAsync(36_000);
    expect(await sent).toBe('over');
    expect(dialog.byes).toHaveLength(1);
  });
});

const FORGOTTEN = Object.assign(new Error('unable to find dialog'), { code: 'ENODIALOG' });

import { afterEach, describe, expect, it, vi } from 'vitest';
import { sendBye } from './bye.js';
import { FakeDialog } from '../testing/fakes.js';

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

  it('gives up after half a minute, and says so', async () => {
    vi.useFakeTimers();
    const dialog = new FakeDialog();
    dialog.answering = () => new Error('socket destroyed');
    const sent = expect(sendBye(dialog, { Reason: 'x' })).rejects.toThrow('socket destroyed');
    await vi.advanceTimersByTimeAsync(31_500);
    await sent;
    expect(dialog.byes).toHaveLength(7);
  });

  it('does not insist when the dialog is gone already', async () => {
    const dialog = new FakeDialog();
    dialog.answering = () => Object.assign(new Error('unable to find dialog'), { code: 'ENODIALOG' });
    await sendBye(dialog, { Reason: 'x' });
    expect(dialog.byes).toHaveLength(1);
  });
});

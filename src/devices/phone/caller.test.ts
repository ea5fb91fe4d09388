import { describe, expect, it } from 'vitest';
import { inNetworks } from '../../shared/index.js';
import { calledAndCaller, shownHeaders } from './caller.js';
import { FakeRequest, VALID_TOKEN } from './testing/fakes.js';

const trusted = inNetworks(['10.0.0.0/8', '2001:db8::/32']);
const nobody = inNetworks([]);

function invite(headers: Record<string, string>, options: { uri?: string; from?: string } = {}): FakeRequest {
  return new FakeRequest('INVITE', { headers, ...options });
}

describe('who calls', () => {
  it.each([
    ['"Ann Lee" <sip:+15555550100@h>;tag=1', '+15555550100', 'Ann Lee'],
    ['Ann Lee <sip:ann@h;user=phone>;tag=1', 'ann', 'Ann Lee'],
    ['"A \\"B\\" C" <sips:100@h:5061>', '100', 'A "B" C'],
    ['<tel:+1-555;phone-context=x>;tag=1', '+1-555', undefined],
    ['sip:bob@h;tag=1', 'bob', undefined],
    ['<sip:h>;tag=1', undefined, undefined],
    ['"x" <sip:%2B1555@h>', '+1555', 'x'],
    ['', undefined, undefined],
  ])('reads %s', (from, caller, callerName) => {
    expect(calledAndCaller(invite({ from }), nobody)).toMatchObject({
      ...(caller !== undefined && { caller }),
      ...(callerName !== undefined && { callerName }),
    });
    expect(calledAndCaller(invite({ from }), nobody).caller).toBe(caller);
  });

  it('is read from P-Asserted-Identity of trusted peers only', () => {
    const headers = {
      from: 'Anonymous <sip:anonymous@anonymous.invalid>;tag=1',
      'p-asserted-identity': '"Ann" <sip:+15555550100@carrier>, <tel:+15555550100>',
    };
    const fromTrusted = calledAndCaller(invite(headers, { from: '10.1.2.3' }), trusted);
    expect(fromTrusted).toMatchObject({ caller: '+15555550100', callerName: 'Ann' });
    const fromOther = calledAndCaller(invite(headers, { from: '192.0.2.1' }), trusted);
    expect(fromOther).toMatchObject({ caller: 'anonymous', callerName: 'Anonymous' });
  });

  it('never uses a token as the called number', () => {
    const uri = `sip:${VALID_TOKEN}@gw`;
    expect(calledAndCaller(invite({ to: '<sip:+1800@gw>' }, { uri }), nobody).called).toBe('+1800');
    expect(
      calledAndCaller(invite({ to: `<sip:${VALID_TOKEN}@gw>` }, { uri }), nobody).called,
    ).toBeUndefined();
    expect(calledAndCaller(invite({}, { uri: 'sip:room@gw' }), nobody).called).toBe('room');
  });

  it.each([
    ['percent-encoded', VALID_TOKEN.replaceAll('.', '%2E')],
    ['percent-encoded twice', VALID_TOKEN.replaceAll('.', '%252E')],
    ['after something else', `room-${VALID_TOKEN}`],
    ['in hex', Buffer.from(VALID_TOKEN).toString('hex')],
  ])('shows no token that is %s', (_spelling, spelled) => {
    const signature = VALID_TOKEN.slice(-8);
    const hidden = calledAndCaller(
      invite(
        { from: `"Ann ${spelled}" <sip:${spelled}@h>`, to: `<sip:${spelled}@h>` },
        { uri: `sip:${spelled}@gw` },
      ),
      nobody,
    );
    expect(hidden.called).toBeUndefined();
    expect(hidden.caller).toContain('***');
    expect(hidden.callerName).toMatch(/^Ann .*\*\*\*$/);
    expect(JSON.stringify(hidden)).not.toContain(signature);
    expect(shownHeaders(invite({ 'x-order': spelled }), ['X-Order'])).toEqual({});
  });

  it('cuts what is too long', () => {
    const from = `"${'n'.repeat(1000)}" <sip:${'u'.repeat(1000)}@h>`;
    const { caller, callerName } = calledAndCaller(invite({ from }), nobody);
    expect([caller?.length, callerName?.length]).toEqual([128, 128]);
  });
});

describe('the headers that are shown', () => {
  it('are those of the configured names, without tokens', () => {
    const invite = new FakeRequest('INVITE', {
      headers: { 'x-order': '42', 'x-long': 'y'.repeat(2000), 'x-token': VALID_TOKEN, 'x-other': 'no' },
    });
    expect(shownHeaders(invite, ['X-Order', 'X-Long', 'X-Token', 'X-Absent'])).toEqual({
      headers: { 'X-Order': '42', 'X-Long': 'y'.repeat(1024) },
    });
    expect(shownHeaders(invite, ['X-Absent'])).toEqual({});
  });
});

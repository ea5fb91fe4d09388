import { beforeEach, describe, expect, it } from 'vitest';
import type { SipSource } from '../types.js';
import { SendConsent } from './send-consent.js';

const VICTIM = { address: '198.51.100.7', port: 4000 };
const OTHER_VICTIM = { address: '198.51.100.8', port: 4000 };

const datagram = (address: string): SipSource => ({ address, isDirect: true, isConnection: false });
const connection = (address: string): SipSource => ({ address, isDirect: true, isConnection: true });

describe('consent to be sent media', () => {
  let consent: SendConsent;
  /** How many 20 ms frames may be sent in a number of seconds. */
  const framesIn = (seconds: number, from = 0): number => {
    let count = 0;
    for (let ms = 0; ms < seconds * 1000; ms += 20) if (consent.allows(from + ms)) count += 1;
    return count;
  };

  beforeEach(() => {
    consent = new SendConsent();
    consent.signalled(datagram('203.0.113.1'), false);
    consent.announce(VICTIM, 0);
  });

  it('is not there before an ACK: a forged INVITE from the victim proves nothing', () => {
    consent.signalled(datagram(VICTIM.address), false);
    expect(framesIn(60)).toBe(0);
  });

  it('lasts ten seconds after an ACK from elsewhere', () => {
    consent.signalled(datagram('203.0.113.1'), true);
    expect(framesIn(60)).toBe(500);
  });

  it('is given by an ACK from the announced host', () => {
    consent.signalled(datagram(VICTIM.address), true);
    expect(framesIn(60)).toBe(3000);
  });

  it('is given by a connection from the announced host, once the call is acknowledged from anywhere', () => {
    consent.signalled(connection(VICTIM.address), false);
    expect(framesIn(1)).toBe(0);
    consent.signalled(datagram('203.0.113.1'), true);
    expect(framesIn(60)).toBe(3000);
  });

  it('is given by a packet from the announced address, also after sending has stopped', () => {
    consent.signalled(datagram('203.0.113.1'), true);
    expect(framesIn(20)).toBe(500);
    consent.heard(false);
    expect(framesIn(1, 30_000)).toBe(0);
    consent.heard(true);
    expect(framesIn(1, 40_000)).toBe(50);
  });

  it('is not renewed by moving the media to one victim after another', () => {
    consent.signalled(datagram('203.0.113.1'), true);
    let frames = 0;
    for (let s = 0; s < 60; s += 3) {
      consent.announce(s % 2 === 0 ? OTHER_VICTIM : VICTIM, s * 1000);
      frames += framesIn(3, s * 1000);
    }
    expect(frames).toBeLessThanOrEqual(501);
  });

  it('does not move with the media of a phone that is heard', () => {
    consent.signalled(datagram('203.0.113.1'), true);
    for (let s = 0; s < 60; s += 4) {
      consent.announce({ address: '203.0.113.1', port: 4000 }, s * 1000);
      consent.heard(true);
      expect(framesIn(1, s * 1000)).toBe(50);
      consent.announce(VICTIM, s * 1000 + 1000);
      framesIn(3, s * 1000 + 1000);
    }
    expect(framesIn(10, 70_000)).toBe(0);
  });

  it.each([
    ['a system port', { address: '198.51.100.7', port: 53 }],
    ['loopback, named from outside', { address: '127.0.0.1', port: 8021 }],
    ['loopback, as an IPv4-mapped address', { address: '::ffff:127.0.0.1', port: 8021 }],
    ['loopback of IPv6', { address: '::1', port: 8021 }],
    ['link-local, named from outside', { address: '169.254.169.254', port: 4000 }],
  ])('is not given for %s before a packet comes from there', (_what, peer) => {
    consent.announce(peer, 0);
    consent.signalled(datagram('203.0.113.1'), true);
    expect(framesIn(20)).toBe(0);
    consent.heard(true);
    expect(framesIn(20)).toBe(1000);
  });

  it('is given for a loopback address when the SIP messages come from loopback too', () => {
    consent.announce({ address: '127.0.0.2', port: 4000 }, 0);
    consent.signalled(datagram('127.0.0.1'), true);
    expect(framesIn(20)).toBe(500);
  });

  it('is not needed for FreeSWITCH, but again when the phone is then served without it', () => {
    consent.trust();
    expect(framesIn(60)).toBe(3000);
    consent.signalled(datagram('203.0.113.1'), true);
    expect(framesIn(60)).toBe(500);
  });
});

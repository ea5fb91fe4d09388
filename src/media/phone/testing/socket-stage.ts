import { createSocket } from 'node:dgram';
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, beforeEach, vi } from 'vitest';
import { writeRtcpReport } from '../../rtp/index.js';
import { rtpPacket } from '../../rtp/testing/packets.js';
import { PortRange } from '../ports.js';
import { type DescribedMedia, RtpSocket } from '../rtp-socket.js';
import { SendConsent } from '../send-consent.js';

/** The address of the phone, and of the gateway. */
export const PHONE = '127.0.0.1';
export const STRANGER = '127.0.0.2';
/** Where SIP messages come from when that is not where the media are announced. */
export const SIP_HOST = '127.0.0.3';
/** The announced address of a phone behind NAT, from which no packet can come. */
export const PRIVATE = { address: '10.9.9.9', port: 4000 };
export const REPORT = writeRtcpReport({ ssrc: 1, blocks: [], cname: 'x' });

/** A UDP socket beside the gateway's, and what was sent to it. */
interface End {
  readonly socket: Socket;
  readonly address: string;
  readonly port: number;
  readonly heard: Buffer[];
}

/** A phone's socket at the gateway, other sockets around it, and a clock that the test moves. */
class SocketStage {
  now = 100_000;
  /** Packets that the socket handed up. */
  rtp = 0;
  rtcp = 0;
  /** Whether a packet is authentic, where that is asked for. */
  isAuthentic: (packet: Buffer) => boolean = () => true;
  consent = new SendConsent();
  gateway!: RtpSocket;
  readonly #ends: Socket[] = [];

  /** Opens the gateway's socket. @param isAcknowledged an ACK has come from the SIP host, not only an INVITE */
  async openGateway(isAcknowledged: boolean): Promise<void> {
    this.consent = new SendConsent();
    this.consent.signalled({ address: SIP_HOST, isDirect: true, isConnection: false }, isAcknowledged);
    const handlers = {
      onRtp: (packet: Buffer) => {
        this.rtp += 1;
        return this.isAuthentic(packet);
      },
      onRtcp: (packet: Buffer) => {
        this.rtcp += 1;
        return this.isAuthentic(packet);
      },
    };
    this.gateway = new RtpSocket(await new PortRange([26000, 27999]).bind(PHONE), handlers, this.consent);
  }

  async close(): Promise<void> {
    await this.gateway.close();
    for (const socket of this.#ends) socket.close();
  }

  readonly open = async (host = PHONE): Promise<End> => {
    const socket = createSocket('udp4');
    const heard: Buffer[] = [];
    socket.on('message', (packet) => heard.push(packet));
    socket.bind(0, host);
    await once(socket, 'listening');
    this.#ends.push(socket);
    return { socket, address: host, port: socket.address().port, heard };
  };

  readonly announceMedia = (media: Partial<DescribedMedia>): void =>
    this.gateway.describe({ mux: false, secure: false, announcedOnly: false, ...media });

  readonly announce = ({ address, port }: { address: string; port: number }, signallingHost?: string): void =>
    this.announceMedia({ announced: { address, port }, signallingHost });

  /** Sends packets one by one, each after the one before has arrived. */
  readonly send = async (end: End, count = 1, mark = 0): Promise<void> => {
    for (let i = 0; i < count; i += 1) {
      const known = this.rtp + this.gateway.strangers;
      end.socket.send(rtpPacket({ sequence: i, timestamp: mark }), this.gateway.port, PHONE);
      await vi.waitUntil(() => this.rtp + this.gateway.strangers > known, { timeout: 2000, interval: 2 });
    }
  };

  /** Sends packets that the kernel may keep out. */
  readonly sendUnseen = (end: End, count: number): void => {
    for (let i = 0; i < count; i += 1) {
      end.socket.send(rtpPacket({ sequence: i, timestamp: 0 }), this.gateway.port, PHONE);
    }
  };

  /** Waits until a packet that the gateway sends to the phone arrives at an end. */
  readonly answerArrives = async (end: End): Promise<void> => {
    const arrived = once(end.socket, 'message', { signal: AbortSignal.timeout(2000) });
    this.gateway.send(rtpPacket({ sequence: 1, timestamp: 0 }));
    await arrived;
  };

  /** Whether the kernel keeps a stranger's packet from the gateway's socket, and lets the phone's through. */
  readonly keepsOut = async (stranger: End, phone: End): Promise<boolean> => {
    this.gateway.maintain(this.now);
    const seen = this.gateway.strangers;
    stranger.socket.send(rtpPacket({ sequence: 1, timestamp: 0 }), this.gateway.port, PHONE);
    await this.send(phone);
    return this.gateway.strangers === seen;
  };
}

/** Gives each test a stage of its own. Call it at the top of a `describe`, and the result in each test. */
export function useSocketStage(): () => SocketStage {
  let stage: SocketStage;
  beforeEach(async () => {
    stage = new SocketStage();
    vi.spyOn(performance, 'now').mockImplementation(() => stage.now);
    await stage.openGateway(true);
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await stage.close();
  });
  return () => stage;
}

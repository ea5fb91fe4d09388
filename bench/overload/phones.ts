/** Phones that call, talk and stay: one socket for SIP, and one for the RTP of each. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { RTP_FIXED_HEADER, writeRtpHeader } from '../../src/media/rtp/index.js';
import { audioAddressOf, parseTraced, type TracedMessage } from '../../test/support/sip-message.js';
import { phoneOffer } from '../../test/support/sipp.js';

const PACKET_MS = 20;
const PAYLOAD_BYTES = 160;
const MU_LAW_SILENCE = 0xff;
const T1_MS = 500;
const GIVE_UP_MS = 32_000;
const RECEIVE_BUFFER = 1 << 16;

interface Phone {
  readonly rtp: Socket;
  readonly callId: string;
  readonly packet: Buffer;
  invite: string;
  invitedAt: number;
  /** Status of the final answer; 0: none yet. */
  status: number;
  finalMs: number;
  to: { host: string; port: number } | undefined;
  received: number;
  sequence: number;
}

/** The final answer to an INVITE. */
interface PhoneAnswer {
  readonly status: number;
  /** From the INVITE to its final answer. */
  readonly ms: number;
}

/** Many phones in this process. */
export class Phones {
  readonly #sip: Socket;
  readonly #sipPort: number;
  readonly #all = new Map<string, Phone>();
  readonly #listeners = new Map<string, (answer: PhoneAnswer) => void>();
  readonly #clock: NodeJS.Timeout;
  #origin = performance.now();
  #frame = 0;

  private constructor(sip: Socket, sipPort: number) {
    this.#sip = sip;
    this.#sipPort = sipPort;
    sip.on('message', (bytes) => this.#heard(parseTraced('received', bytes.toString('latin1'))));
    this.#clock = setInterval(() => this.#talk(), PACKET_MS / 2);
  }

  static async open(sipPort: number): Promise<Phones> {
    const sip = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
    sip.bind(0, '127.0.0.1');
    await once(sip, 'listening');
    return new Phones(sip, sipPort);
  }

  /** Number of established calls. */
  get up(): number {
    return [...this.#all.values()].filter(({ to }) => to !== undefined).length;
  }

  /** Calls with a token. If the answer is 200, the call stays up. */
  async call(token: string): Promise<PhoneAnswer> {
    const rtp = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER });
    rtp.bind(0, '127.0.0.1');
    await once(rtp, 'listening');
    const callId = `${this.#all.size}-${process.pid}-${Math.random().toString(36).slice(2)}`;
    const packet = Buffer.alloc(RTP_FIXED_HEADER + PAYLOAD_BYTES, MU_LAW_SILENCE);
    const phone: Phone = {
      rtp,
      callId,
      packet,
      invite: this.#invite(token, callId, rtp.address().port),
      invitedAt: performance.now(),
      status: 0,
      finalMs: 0,
      to: undefined,
      received: 0,
      sequence: 0,
    };
    rtp.on('message', (bytes) => {
      // RTCP has packet types from 192 on.
      if (bytes[1]! < 192) phone.received += 1;
    });
    this.#all.set(callId, phone);
    const answer = new Promise<PhoneAnswer>((resolve) => this.#listeners.set(callId, resolve));
    this.#send(phone.invite);
    this.#repeat(phone, T1_MS);
    return answer;
  }

  /** @returns for each established call, the share of packets that it received over a time */
  async hear(ms: number): Promise<number[]> {
    const phones = [...this.#all.values()].filter(({ to }) => to !== undefined);
    const before = phones.map(({ received }) => received);
    const from = performance.now();
    await new Promise((resolve) => setTimeout(resolve, ms));
    const expected = Math.floor((performance.now() - from) / PACKET_MS);
    return phones.map(({ received }, i) => Math.min(1, (received - before[i]!) / expected));
  }

  close(): void {
    clearInterval(this.#clock);
    this.#sip.close();
    for (const { rtp } of this.#all.values()) rtp.close();
  }

  #talk(): void {
    const due = Math.floor((performance.now() - this.#origin) / PACKET_MS);
    if (due - this.#frame > 5) this.#frame = due - 1;
    for (; this.#frame < due; this.#frame += 1) {
      for (const phone of this.#all.values()) {
        if (!phone.to) continue;
        phone.sequence = (phone.sequence + 1) & 0xffff;
        writeRtpHeader(phone.packet, 0, false, phone.sequence, phone.sequence * 160, 1);
        phone.rtp.send(phone.packet, phone.to.port, phone.to.host);
      }
    }
  }

  #repeat(phone: Phone, ms: number): void {
    setTimeout(() => {
      if (phone.status !== 0) return;
      if (performance.now() - phone.invitedAt > GIVE_UP_MS) this.#final(phone, 408);
      else {
        this.#send(phone.invite);
        this.#repeat(phone, ms * 2);
      }
    }, ms);
  }

  #heard(message: TracedMessage): void {
    const phone = this.#all.get(message.header('Call-ID') ?? '');
    if (!phone || message.status === undefined || message.status < 200) return;
    if (!message.header('CSeq')!.endsWith('INVITE')) return;
    this.#send(this.#ack(phone, message));
    if (phone.status !== 0) return;
    if (message.status === 200) phone.to = audioAddressOf(message.body);
    this.#final(phone, message.status);
  }

  #final(phone: Phone, status: number): void {
    phone.status = status;
    phone.finalMs = performance.now() - phone.invitedAt;
    if (status !== 200) {
      phone.rtp.close();
      this.#all.delete(phone.callId);
    }
    this.#listeners.get(phone.callId)?.({ status, ms: phone.finalMs });
    this.#listeners.delete(phone.callId);
  }

  #send(text: string): void {
    this.#sip.send(text, this.#sipPort, '127.0.0.1');
  }

  #invite(token: string, callId: string, rtpPort: number): string {
    const { port } = this.#sip.address();
    const sdp = phoneOffer(rtpPort);
    return [
      `INVITE sip:127.0.0.1:${this.#sipPort} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bK${callId}`,
      `From: <sip:phone@127.0.0.1:${port}>;tag=${callId}`,
      `To: <sip:127.0.0.1:${this.#sipPort}>`,
      `Call-ID: ${callId}`,
      'CSeq: 1 INVITE',
      'Max-Forwards: 70',
      `Contact: <sip:phone@127.0.0.1:${port}>`,
      `User-to-User: ${token};encoding=jwt`,
      'Content-Type: application/sdp',
      `Content-Length: ${sdp.length}`,
      '',
      sdp,
    ].join('\r\n');
  }

  #ack(phone: Phone, { status, header }: TracedMessage): string {
    const branch = status === 200 ? `${phone.callId}a` : phone.callId;
    const { port } = this.#sip.address();
    return [
      `ACK sip:127.0.0.1:${this.#sipPort} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bK${branch}`,
      `From: ${header('From')!}`,
      `To: ${header('To')!}`,
      `Call-ID: ${phone.callId}`,
      'CSeq: 1 ACK',
      'Max-Forwards: 70',
      'Content-Length: 0',
      '',
      '',
    ].join('\r\n');
  }
}

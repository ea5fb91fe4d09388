import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { muLawDecode, muLawEncode, PHONE_RATE, sine } from '../../../test/support/tones.js';

const PACKET_MS = 20;
const SAMPLES = (PHONE_RATE / 1000) * PACKET_MS;
const PCMU = 0;
const HEADER = 12;
/** A packet has whole waves of each tone: tones do not disturb one another in it, wherever it begins. */
const STEP_HZ = PHONE_RATE / SAMPLES;
const LOWEST_HZ = 300;
/** The highest is below 3.4 kHz. */
export const MOST_TONES = 60;
/** So loud that four together are not clipped. */
const AMPLITUDE = 7000;
const HEARD_AMPLITUDE = 2000;
/** What counts as heard now: that which all of so many latest packets have, the oldest of which is not older than so long. */
const LATEST = 5;
const LATEST_MS = 300;

const hertz = (tone: number): number => LOWEST_HZ + tone * STEP_HZ;
const LINEAR = Float32Array.from({ length: 256 }, (_, byte) => muLawDecode(byte));
/** Two waves of each tone, a quarter apart. */
const WAVES = Array.from({ length: MOST_TONES }, (_, tone) => {
  const angle = (n: number): number => (2 * Math.PI * hertz(tone) * n) / PHONE_RATE;
  return [Math.cos, Math.sin].map((wave) => Float32Array.from({ length: SAMPLES }, (_, n) => wave(angle(n))));
}) as unknown as readonly (readonly [Float32Array, Float32Array])[];

/** The media of a phone that says one of {@link MOST_TONES} tones, and recognises all of them in what it hears. */
export class Tones {
  /** RTP packets that did not follow upon the one before. */
  breaks = 0;
  /** Longest time between two packets, in ms, since it was set to 0. */
  longestGapMs = 0;
  readonly #socket: Socket;
  readonly #packet = Buffer.alloc(HEADER + SAMPLES);
  #port = 0;
  #sequence = 0;
  #timestamp = 0;
  #dueAt = 0;
  #last: { readonly ssrc: number; readonly sequence: number; readonly at: number } | undefined;
  #latest: { readonly at: number; readonly payload: Buffer }[] = [];

  private constructor(socket: Socket, tone: number) {
    this.#socket = socket;
    const wave = sine(hertz(tone), PHONE_RATE, AMPLITUDE)(SAMPLES);
    this.#packet[0] = 0x80;
    this.#packet[1] = PCMU;
    this.#packet.set(Array.from(wave, muLawEncode), HEADER);
    socket.on('message', (packet) => this.#take(packet));
  }

  static async open(tone: number): Promise<Tones> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return new Tones(socket, tone);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** A call begins: the tone goes to this port. */
  start(port: number): void {
    this.#port = port;
    this.#dueAt = performance.now();
    this.#packet.writeUInt32BE(Math.floor(Math.random() * 2 ** 32), 8);
    this.#last = undefined;
    this.#latest = [];
    this.breaks = 0;
  }

  /** The call is over. */
  stop(): void {
    this.#port = 0;
    this.#latest = [];
  }

  /** Sends what is due by now. */
  send(): void {
    if (this.#port === 0) return;
    for (; this.#dueAt <= performance.now(); this.#dueAt += PACKET_MS) {
      this.#packet.writeUInt16BE(this.#sequence, 2);
      this.#packet.writeUInt32BE(this.#timestamp, 4);
      this.#sequence = (this.#sequence + 1) & 0xffff;
      this.#timestamp = (this.#timestamp + SAMPLES) >>> 0;
      // A copy: the socket sends later.
      this.#socket.send(Buffer.from(this.#packet), this.#port, '127.0.0.1');
    }
  }

  /**
   * The tones that are heard now; undefined when nothing comes, or the packets differ.
   * @param since only packets that came after this count, by `performance.now()`
   */
  heard(since = 0): ReadonlySet<number> | undefined {
    const from = Math.max(since, performance.now() - LATEST_MS);
    if (this.#latest.length < LATEST || this.#latest[0]!.at < from) return undefined;
    const [first, ...others] = this.#latest.map(({ payload }) => tonesIn(payload));
    return others.every((other) => isSame(other, first!)) ? first : undefined;
  }

  /** What came in the latest packets, for people. */
  describe(): string {
    const now = performance.now();
    const packets = this.#latest.map(
      ({ at, payload }) => `[${[...tonesIn(payload)].join()}] ${(now - at).toFixed(0)} ms ago`,
    );
    return packets.length === 0 ? 'nothing' : packets.join(', ');
  }

  close(): void {
    this.#socket.close();
  }

  #take(packet: Buffer): void {
    if (packet.length !== HEADER + SAMPLES || (packet[1]! & 0x7f) !== PCMU || this.#port === 0) return;
    const at = performance.now();
    const [ssrc, sequence] = [packet.readUInt32BE(8), packet.readUInt16BE(2)];
    const last = this.#last;
    if (last) {
      this.longestGapMs = Math.max(this.longestGapMs, at - last.at);
      if (ssrc !== last.ssrc || sequence !== ((last.sequence + 1) & 0xffff)) this.breaks += 1;
    }
    this.#last = { ssrc, sequence, at };
    this.#latest.push({ at, payload: packet.subarray(HEADER) });
    if (this.#latest.length > LATEST) this.#latest.shift();
  }
}

export function isSame(one: ReadonlySet<number>, other: ReadonlySet<number>): boolean {
  return one.size === other.size && [...one].every((tone) => other.has(tone));
}

function tonesIn(payload: Buffer): ReadonlySet<number> {
  const samples = Float32Array.from(payload, (byte) => LINEAR[byte]!);
  const found = new Set<number>();
  for (const [tone, [cosine, sinus]] of WAVES.entries()) {
    let [real, imaginary] = [0, 0];
    for (let n = 0; n < SAMPLES; n += 1) {
      real += samples[n]! * cosine[n]!;
      imaginary += samples[n]! * sinus[n]!;
    }
    if ((2 / SAMPLES) * Math.hypot(real, imaginary) > HEARD_AMPLITUDE) found.add(tone);
  }
  return found;
}

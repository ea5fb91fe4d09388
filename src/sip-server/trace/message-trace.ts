import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { type Log, sipTokenMask } from '../../shared/index.js';
import type { Flow } from '../transport/flow.js';
import { encodeHep } from './hep.js';

/** A Homer server that is sent a copy of every message. */
export interface CaptureOptions {
  /** An IP address. */
  readonly host: string;
  readonly port: number;
  /** The number that identifies this node in Homer. */
  readonly agentId: number;
  readonly password?: string | undefined;
}

/** A UDP datagram holds no more. Longer messages are truncated in the capture only. */
const MAX_CAPTURED_BYTES = 60_000;

/** Copies every message, with tokens masked, to the log (at debug level) and to Homer. */
export class MessageTrace {
  readonly #log: Log;
  /** Hides the tokens in a message's text. */
  readonly mask: (text: string) => string;
  readonly #capture: { options: CaptureOptions; socket: Socket } | undefined;

  constructor(log: Log, maskedHeaders: readonly string[], capture: CaptureOptions | undefined) {
    this.#log = log;
    this.mask = sipTokenMask(maskedHeaders);
    if (!capture) return;
    const socket = createSocket(isIPv6(capture.host) ? 'udp6' : 'udp4');
    socket.on('error', (error) => log.warn({ error: error.message }, 'capture socket error'));
    socket.unref();
    this.#capture = { options: capture, socket };
  }

  message(direction: 'in' | 'out', bytes: Buffer, flow: Flow): void {
    const debug = this.#log.isLevelEnabled?.('debug') ?? true;
    if (!debug && !this.#capture) return;
    const text = this.mask(bytes.toString('latin1'));
    if (debug) {
      const peer = `${flow.transport}/${flow.remote.host}:${flow.remote.port}`;
      const sip = Buffer.from(text, 'latin1').toString('utf8');
      this.#log.debug({ direction, peer, sip }, 'SIP message');
    }
    if (this.#capture) this.#toHomer(this.#capture, direction, text, flow);
  }

  close(): void {
    this.#capture?.socket.close();
  }

  #toHomer(
    { options, socket }: { options: CaptureOptions; socket: Socket },
    direction: 'in' | 'out',
    text: string,
    flow: Flow,
  ): void {
    const packet = encodeHep(
      {
        protocol: flow.transport === 'udp' ? 'udp' : 'tcp',
        source: direction === 'in' ? flow.remote : flow.local,
        destination: direction === 'in' ? flow.local : flow.remote,
        time: Date.now(),
        payload: Buffer.from(text.slice(0, MAX_CAPTURED_BYTES), 'latin1'),
      },
      { id: options.agentId, password: options.password },
    );
    // A lost capture must not delay a call. The socket's error event logs it.
    socket.send(packet, options.port, options.host, () => undefined);
  }
}

import { appendFileSync } from 'node:fs';
import type { MediaListener, MediaPlaneEvent } from '../door.js';

/** The log of a time without a gateway ends at so many bytes. */
const MAX_BYTES = 1024 * 1024;

/** A host's log: lines go to the gateway or, while there is none, to a file of bounded size. */
export class HostLog {
  readonly #path: string;
  #send: MediaListener<MediaPlaneEvent> | undefined;
  #written = 0;

  /** @param path of the file, which is made for the first line */
  constructor(path: string) {
    this.#path = path;
  }

  /** From now on lines go here; absent: to the file. */
  sendTo(gateway: MediaListener<MediaPlaneEvent> | undefined): void {
    this.#send = gateway;
    this.#written = 0;
  }

  readonly write: MediaListener<MediaPlaneEvent> = (event) => {
    if (this.#send) {
      this.#send(event);
      return;
    }
    if (this.#written > MAX_BYTES) return;
    const { level, fields, message } = event;
    const line = `${JSON.stringify({ time: Date.now(), level, ...fields, msg: message })}\n`;
    this.#written += line.length;
    try {
      appendFileSync(this.#path, line, { mode: 0o600 });
    } catch {
      // A full disk, for example. Nobody is there to be told, and the calls are worth more.
      this.#written = Number.POSITIVE_INFINITY;
    }
  };
}

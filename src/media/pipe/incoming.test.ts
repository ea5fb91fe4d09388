import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Incoming } from './incoming.js';

describe('what a connection brings', () => {
  it('is read exactly, then handed on whole and in order, however it comes and though its memory is used again', async () => {
    const chunk = fc.uint8Array({ minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { maxLength: 20 }), fc.nat(100), async (chunks, length) => {
        const all = Buffer.concat(chunks);
        fc.pre(all.length >= length && length > 0);
        const incoming = new Incoming();
        const greeting = incoming.read(length);
        const memory = Buffer.alloc(40);
        const handed: Buffer[] = [];
        const greeted = { isRead: false };
        void greeting.then(() => (greeted.isRead = true));
        for (const bytes of chunks) {
          memory.set(bytes);
          incoming.onBytes(memory.subarray(0, bytes.length));
          const wasRead = greeted.isRead;
          // The promise settles before the next read.
          await new Promise(setImmediate);
          if (greeted.isRead && !wasRead) incoming.handTo((rest) => handed.push(Buffer.from(rest)));
        }
        expect(Buffer.concat([await greeting, ...handed])).toEqual(all);
        expect(await greeting).toHaveLength(length);
      }),
    );
  });
});

import { expect, it } from 'vitest';
import { Diagnostics } from './channels.js';

it('keeps what is said before the channel is open, the newest of it', () => {
  const sent: string[] = [];
  let open = false;
  let opened: (() => void) | undefined;
  const diagnostics = new Diagnostics({
    isOpen: () => open,
    bufferedAmount: () => 0,
    sendMessage: (message) => sent.push(message) > 0,
    onOpen: (listener) => void (opened = listener),
  });
  for (let i = 0; i < 20; i += 1) diagnostics.send(String(i));
  expect(sent).toEqual([]);
  open = true;
  opened?.();
  diagnostics.send('last');
  expect(sent).toEqual([...Array.from({ length: 16 }, (_, i) => String(i + 4)), 'last']);
});

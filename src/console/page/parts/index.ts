export { useAction } from './action.js';
export { Away } from './away.js';
export { Copy } from './copy.js';
export { Dialog } from './dialog.js';
export { Problem } from './problem.js';
export { QrCode } from './qr-code.js';
export { clockText, Length, Moment, Since } from './time.js';

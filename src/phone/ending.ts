import type { EndReason } from '../core/types.js';
import { reasonHeader } from './refusal.js';

/** What a phone is told in the Reason header of a BYE: the SIP status that is nearest, and words. */
const ENDINGS = {
  left: [200, 'The call was ended.'],
  lost: [408, 'The connection was lost.'],
  'media-timeout': [408, 'No media came from the phone for too long.'],
  replaced: [486, 'Another device took the place of this call.'],
  disconnected: [200, 'The application ended the call.'],
  'participant-deleted': [404, 'The participant was deleted.'],
  'session-deleted': [404, 'The session was deleted.'],
  expired: [410, 'The participant or its session reached the end of its life.'],
  'max-duration': [408, 'The call reached its longest duration.'],
  shutdown: [503, 'The gateway is stopping.'],
  crashed: [500, 'The gateway lost the call.'],
  error: [500, 'The gateway failed.'],
} as const satisfies Record<EndReason, readonly [cause: number, text: string]>;

/** In words, for the phone's trace and our log. */
export function endingText(reason: EndReason): string {
  return ENDINGS[reason][1];
}

/** The Reason header of a BYE (RFC 3326). */
export function endingHeader(reason: EndReason, text = endingText(reason)): string {
  return reasonHeader(ENDINGS[reason][0], text);
}

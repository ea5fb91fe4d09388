import { randomUUID } from 'node:crypto';

/**
 * Makes the ids of requests: UUIDs of our own kind (RFC 9562 section 5.8), random once for each process, counting in
 * their last 48 bits. A wholly random one for each request would take more than its routing.
 */
export function requestIds(): () => string {
  const start = `${randomUUID().slice(0, 14)}8${randomUUID().slice(15, 24)}`;
  let made = 0;
  return () => start + (++made).toString(16).padStart(12, '0');
}

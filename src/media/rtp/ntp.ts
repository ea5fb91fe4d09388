/** NTP timestamps as RTCP carries them (RFC 3550 section 4). */

/** Seconds from 1900, where NTP counts from, to 1970. */
const NTP_EPOCH = 2_208_988_800;

/** A moment as NTP counts it. */
export interface NtpTime {
  readonly seconds: number;
  /** In 2^-32 s. */
  readonly fraction: number;
}

/** @param unixMs milliseconds since 1970, fractions allowed */
export function toNtp(unixMs: number): NtpTime {
  const seconds = Math.floor(unixMs / 1000);
  const fraction = Math.floor((unixMs / 1000 - seconds) * 2 ** 32);
  return { seconds: (seconds + NTP_EPOCH) >>> 0, fraction: fraction >>> 0 };
}

/** The middle 32 bits, in 1/65536 s: LSR and the base of DLSR. */
export function ntpMiddle(time: NtpTime): number {
  return ((time.seconds << 16) | (time.fraction >>> 16)) >>> 0;
}

import { signal } from '@preact/signals';

const now = signal(Date.now());
setInterval(() => (now.value = Date.now()), 1_000);

/** A length of time as `1:02:03` or `4:05`. */
export function clockText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (number: number): string => String(number).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** A length of time in seconds, as `4:05`. */
export function Length({ seconds }: { readonly seconds: number }) {
  return <time dateTime={`PT${seconds}S`}>{clockText(seconds * 1_000)}</time>;
}

/** A moment, as people here write it. */
export function Moment({ moment }: { readonly moment: string }) {
  return <time dateTime={moment}>{new Date(moment).toLocaleString()}</time>;
}

/** How long ago a moment is, counting on. */
export function Since({ moment }: { readonly moment: string }) {
  return (
    <time dateTime={moment} title={new Date(moment).toLocaleString()}>
      {clockText(now.value - Date.parse(moment))}
    </time>
  );
}

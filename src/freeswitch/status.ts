/** What a FreeSWITCH says of its load. */
export interface ChannelCount {
  readonly channels: number;
  /** 0: unknown. */
  readonly maxChannels: number;
}

/** Reads the reply to the command `status`, which calls channels sessions. */
export function parseStatus(reply: string): ChannelCount {
  const channels = /^(\d+) session\(s\) - peak/m.exec(reply)?.[1];
  const maxChannels = /^(\d+) session\(s\) max/m.exec(reply)?.[1];
  if (channels === undefined) throw new Error(`Not a status of FreeSWITCH: ${reply.slice(0, 200)}`);
  return { channels: Number(channels), maxChannels: Number(maxChannels ?? 0) };
}

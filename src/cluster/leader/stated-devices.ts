import type { DeviceState, Hello, HistoryEntry, StateChange, StatedDevice } from '../messages.js';

/** Whether a leader has connected it before. */
export function wasAdmitted({ order, isCarried }: StatedDevice): boolean {
  return order !== undefined || isCarried;
}

/** Ids of the devices that ended by themselves. */
export function endedIn(news: readonly HistoryEntry[]): ReadonlySet<string> {
  return new Set(news.flatMap(({ event }) => (event.type === 'end' ? event.deviceId : [])));
}

/**
 * Ids of the devices that an edge has, or has ended itself. The others were ended by a leader: perhaps by one that was to have
 * another edge go on with the call, and died before it had written that down.
 */
export function presentOf(devices: Hello['devices'], news: readonly HistoryEntry[]): ReadonlySet<string> {
  const ended = endedIn(news);
  return new Set(devices.flatMap(({ info: { id }, hasEnded }) => (!hasEnded || ended.has(id) ? id : [])));
}

/** Its state after a change. */
export function changedState(state: DeviceState, change: StateChange): DeviceState {
  switch (change.part) {
    case 'streams':
      return { ...state, streams: change.streams };
    case 'formats':
      return { ...state, formats: change.formats };
    case 'omitted':
      return { ...state, omitted: change.omitted };
    case 'quality':
      return { ...state, quality: change.quality };
    case 'resumePoint':
      return { ...state, resumePoint: change.resumePoint };
    case 'speaking':
    case 'levels':
      return state;
  }
}

/** Its state before what is news: hold and signalling change by that. */
export function stateBefore(stated: StatedDevice, news: readonly HistoryEntry[]): DeviceState {
  const { id } = stated.info;
  const events = news.map(({ event }) => event);
  const hold = events.find((event) => event.type === 'hold' && event.deviceId === id);
  const signalling = events.find((event) => event.type === 'signalling' && event.deviceId === id);
  return {
    ...stated.state,
    ...(hold?.type === 'hold' && { held: !hold.held }),
    ...(signalling?.type === 'signalling' && { signallingLost: !signalling.lost }),
  };
}

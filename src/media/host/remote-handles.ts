import type {
  AnyHandle,
  BrowserHandle,
  DeviceHandle,
  FileHandle,
  PhoneHandle,
  ProgramHandle,
} from '../door.js';
import { requireShortNote } from '../plane.js';
import { MediaError, type MediaDelivery, type MediaStreamInfo } from '../types.js';
import type { OpenResult } from './messages.js';
import type { RemoteDevice } from './remote-device.js';

/** The handles of devices on media hosts: what each kind of device can be asked, as requests to its host. */

export function handleFor(device: RemoteDevice, opened: Promise<OpenResult>): AnyHandle {
  switch (device.spec.kind) {
    case 'browser':
      return browserHandle(device, opened);
    case 'phone':
      return phoneHandle(device, opened);
    case 'program':
      return programHandle(device, opened);
    case 'file':
      return fileHandle(device, opened);
  }
}

export function browserHandle(device: RemoteDevice, opened: Promise<OpenResult>): BrowserHandle {
  return {
    opened: quietly(opened.then(() => undefined)),
    publish: async (options) => {
      const answer = await device.request('publish', { options });
      device.publish(answer.streams);
      return answer;
    },
    answerSubscribe: (sdpAnswer) => device.request('answerSubscribe', { sdpAnswer }),
    resume: () => device.request('resume', {}),
    ...handleOf(device),
  };
}

export function phoneHandle(device: RemoteDevice, opened: Promise<OpenResult>): PhoneHandle {
  return {
    opened: quietly(opened.then(({ description }) => description!)),
    answer: async (sdpAnswer) => device.described(await device.request('answer', { sdpAnswer })),
    update: async (sdpOffer) =>
      device.described(await device.request('update', sdpOffer === undefined ? {} : { sdpOffer })),
    confirm: async (source) => {
      device.signalled(source);
      if (!device.isClosed) await device.repeatable('confirm', { source });
    },
    sendDtmf: (dtmf) => device.request('sendDtmf', { dtmf }),
    ...handleOf(device),
  };
}

/** What is played while the program moves to another host is lost, as what waited on its host is. */
export function programHandle(device: RemoteDevice, opened: Promise<OpenResult>): ProgramHandle {
  return {
    opened: quietly(opened.then(streamOf)),
    play: (pcm) => void device.openLink?.play(device.deviceId, pcm),
    mark: (mark) => device.openLink?.mark(device.deviceId, mark),
    clear: () => device.openLink?.clear(device.deviceId),
    sendDtmf: (dtmf) => device.request('sendDtmf', { dtmf }),
    ...handleOf(device),
  };
}

function fileHandle(device: RemoteDevice, opened: Promise<OpenResult>): FileHandle {
  return { opened: quietly(opened.then(streamOf)), ...handleOf(device) };
}

function handleOf(device: RemoteDevice): DeviceHandle {
  return {
    setDelivery: (delivery: readonly MediaDelivery[]) => device.setDelivery(delivery),
    // It is written before this returns: nothing is waited for.
    // eslint-disable-next-line @typescript-eslint/require-await
    keep: async (note: string) => {
      requireShortNote(note);
      device.keep(note);
    },
    watchLevels: (isWatched) => device.watchLevels(isWatched),
    close: () => device.close(),
  };
}

function streamOf({ stream }: OpenResult): MediaStreamInfo {
  if (stream) return stream;
  throw new MediaError('INVALID_STATE', 'The device publishes nothing.');
}

/** Nobody has to wait for it. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

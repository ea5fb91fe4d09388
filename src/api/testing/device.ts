import { randomUUID } from 'node:crypto';
import type {
  Connection,
  Core,
  Delivery,
  Device,
  DeviceCapabilities,
  DeviceInfo,
  EndReason,
  MediaFormats,
} from '../../core/index.js';

/** A device without media. */
export class TestDevice implements Device {
  readonly info: DeviceInfo;
  readonly connection: Connection;
  readonly capabilities: DeviceCapabilities;
  formats: MediaFormats = {};
  delivery: Delivery = [];
  closed: EndReason | undefined;
  isWatched = false;

  constructor(
    core: Core,
    participantId: string,
    info: Partial<DeviceInfo> = {},
    capabilities: DeviceCapabilities = {},
  ) {
    this.info = {
      id: randomUUID(),
      kind: 'browser',
      externalId: randomUUID(),
      direction: 'inbound',
      ...info,
    };
    this.capabilities = capabilities;
    this.connection = core.connect(participantId, this, { replace: false });
  }

  deliver(delivery: Delivery): void {
    this.delivery = delivery;
  }

  watchLevels(isWatched: boolean): void {
    this.isWatched = isWatched;
  }

  close(reason: EndReason): void {
    this.closed = reason;
  }
}

import { hkdfSync } from 'node:crypto';
import type { Crossing, Edge } from '../cluster/index.js';
import type { MediaCrossing, MediaPlane } from '../media/index.js';
import { BoundedMap } from '../shared/index.js';

/** Of a pipe. */
const KEY_BYTES = 32;
/** Keys that are remembered, since a change of one pipe brings all of them again. */
const MAX_KEYS = 4096;

/** A media host, by its gateway and its id. */
type HostName = readonly [edge: string, host: string];

/**
 * Has streams go between the media hosts of this gateway and those of others: the leader learns where everything is, and the
 * media plane what is to go from where to where. Does nothing when the plane takes no streams of other gateways.
 * @param secret of the cluster: all gateways of a database have the same
 */
export function joinCrossings(
  edge: Edge,
  { crossings }: Pick<MediaPlane, 'crossings'>,
  secret: string | Buffer,
): void {
  if (!crossings) return;
  const keys = new BoundedMap<string, string>(MAX_KEYS);
  const keyOf = (from: HostName, to: HostName): string => {
    const name = JSON.stringify([from, to]);
    const key = keys.get(name) ?? pipeKey(secret, name);
    keys.set(name, key);
    return key;
  };
  crossings.watch(edge.crossings);
  edge.crossings.watch((all) => crossings.set(all.map((crossing) => forPlane(edge.id, crossing, keyOf))));
}

function forPlane(
  edgeId: string,
  { host, otherEdge, otherHost, sent, from }: Crossing,
  keyOf: (from: HostName, to: HostName) => string,
): MediaCrossing {
  const [own, other]: HostName[] = [
    [edgeId, host],
    [otherEdge, otherHost],
  ];
  return {
    host,
    remote: `${otherEdge}/${otherHost}`,
    ...(sent.length > 0 && { sends: { key: keyOf(own!, other!), streamIds: sent } }),
    ...(from && { receives: { key: keyOf(other!, own!), host: from.host, port: from.port } }),
  };
}

/**
 * Both gateways derive the key of a pipe (RFC 5869) from what they know, so that no leader has to tell it, and a new one
 * changes none.
 */
function pipeKey(secret: string | Buffer, name: string): string {
  const key = hkdfSync(
    'sha256',
    secret,
    Buffer.alloc(0),
    `patchbay pipe between gateways: ${name}`,
    KEY_BYTES,
  );
  return Buffer.from(key).toString('base64');
}

/** What speech sounds like after the network and the mix: all parts, or those that are named (`npm run bench:sound -- loss`). */
import { bursts } from './sound/bursts.js';
import { loss } from './sound/loss.js';
import { suppression } from './sound/noise.js';

const PARTS = { bursts, loss, noise: suppression };

const wanted = process.argv.slice(2);
for (const [name, part] of Object.entries(PARTS))
  if (wanted.length === 0 || wanted.includes(name)) await part();

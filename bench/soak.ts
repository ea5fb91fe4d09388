/**
 * Long runs, in three modes: `npm run soak` has a busy gateway under attack (`soak/load.ts`), `npm run soak -- kills` kills
 * gateways and media hosts under phones that talk (`soak/kills/index.ts`), `npm run soak:cluster` has the gateways of one
 * database die, pause and be cut off (`soak/cluster/index.ts`).
 */
const [mode = 'load'] = process.argv.slice(2);
if (mode === 'kills') await import('./soak/kills/index.js');
else if (mode === 'cluster') await import('./soak/cluster/index.js');
else if (mode === 'load') await import('./soak/load.js');
else throw new Error(`There is no mode ${mode}: load, kills, or cluster.`);
// Phones, browsers and attackers that were given up may still hold something open.
process.exit();

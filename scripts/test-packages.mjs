// The programs that the tests drive, and the Debian packages that they come in.
import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const PROGRAMS = [
  { program: 'sipp', debianPackage: 'sip-tester' },
  // Chromium does as well, but the tests take longer with it.
  { program: 'chromium-headless-shell', debianPackage: 'chromium-headless-shell', standIn: 'chromium' },
  { program: 'firefox-esr', debianPackage: 'firefox-esr' },
  { program: 'baresip', debianPackage: 'baresip-core' },
  { program: 'linphonec', debianPackage: 'linphone-cli' },
  { program: 'kamailio', debianPackage: 'kamailio' },
  { program: 'turnserver', debianPackage: 'coturn' },
  { program: 'ip', debianPackage: 'iproute2' },
  { program: 'nft', debianPackage: 'nftables' },
  { program: 'nginx', debianPackage: 'nginx' },
  { program: 'haproxy', debianPackage: 'haproxy' },
  { program: 'promtool', debianPackage: 'prometheus' },
  { program: 'logrotate', debianPackage: 'logrotate' },
  { program: 'postgres', debianPackage: 'postgresql' },
];

// Debian keeps servers in sbin, which is not on every user's PATH.
const folders = () => [
  ...(process.env.PATH ?? '').split(delimiter),
  '/usr/sbin',
  '/usr/local/sbin',
  ...postgresFolders(),
];

/** Debian keeps each version of PostgreSQL in a folder of its own. */
function postgresFolders() {
  const root = '/usr/lib/postgresql';
  return existsSync(root) ? readdirSync(root).map((version) => join(root, version, 'bin')) : [];
}

/** The tests start servers of their own: the package is not to make one that runs with the machine. */
function withoutMainCluster() {
  const file = '/etc/postgresql-common/createcluster.conf';
  if (existsSync(file)) return;
  mkdirSync('/etc/postgresql-common', { recursive: true });
  writeFileSync(file, 'create_main_cluster = false\n');
}

function isInstalled(program) {
  return folders().some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** @throws when apt-get fails */
function install(packages) {
  console.error(`Installing ${packages.join(', ')} ...`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('apt-get', ['-qq', 'update'], { stdio: 'inherit', env });
  if (packages.includes('postgresql')) withoutMainCluster();
  const options = ['-y', '--no-install-recommends', '-o', 'Dpkg::Options::=--force-confold'];
  execFileSync('apt-get', ['-qq', 'install', ...options, ...packages], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  });
}

export function installTestPrograms() {
  const missing = PROGRAMS.filter(({ program }) => !isInstalled(program));
  const asRootOnDebian = process.getuid?.() === 0 && isInstalled('apt-get');
  const needed = missing.filter(({ standIn }) => standIn === undefined || !isInstalled(standIn));
  const packages = (asRootOnDebian ? missing : needed).map(({ debianPackage }) => debianPackage);
  if (packages.length === 0) return;
  if (!asRootOnDebian) {
    console.error(`The tests need: ${needed.map(({ program }) => program).join(', ')}. On Debian, as root:`);
    console.error(`  apt-get update && apt-get install --no-install-recommends ${packages.join(' ')}`);
    process.exit(1);
  }
  try {
    install(packages);
  } catch (error) {
    if (needed.length > 0) throw error;
    console.error(`${missing.map(({ standIn }) => standIn).join(', ')} will have to do.`);
  }
}

// Runs a command in network and mount namespaces of its own, so that what it does leaves the machine as it was:
// as root directly, else as root of a user namespace. /run is a fresh tmpfs in there.
import { spawnSync } from 'node:child_process'

const prepare = 'mount -t tmpfs tmpfs /run && mkdir -p /run/netns && ip link set lo up && exec "$@"'

/** The command line that runs `command` isolated, or undefined where the kernel refuses namespaces. */
export function isolated(command) {
  const unshare =
    process.getuid() === 0
      ? ['unshare', '--net', '--mount']
      : ['unshare', '--user', '--map-root-user', '--net', '--mount']
  const probe = spawnSync(unshare[0], [...unshare.slice(1), 'sh', '-c', prepare, 'sh', 'true'], {
    stdio: 'ignore',
  })
  return probe.status === 0 ? [...unshare, 'sh', '-c', prepare, 'sh', ...command] : undefined
}

import { mkdir } from 'node:fs/promises'

/**
 * Where attachments are kept unless the options say otherwise: for a state directory below /run, the same path below
 * /var/lib, because plugins such as host-local keep their addresses over a reboot, and only who remembers an attachment
 * can give its address back. Where that can't be written, as in a user namespace, it is the state directory itself.
 */
export async function defaultCacheDir(stateDir: string): Promise<string> {
  if (!stateDir.startsWith('/run/')) return stateDir
  const lasting = stateDir.replace(/^\/run\//, '/var/lib/')
  return mkdir(lasting, { recursive: true, mode: 0o700 }).then(
    () => lasting,
    () => stateDir,
  )
}

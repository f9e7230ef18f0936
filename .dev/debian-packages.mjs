// Installs the Debian packages that are missing. It runs before anything is installed, so it uses Node's own modules only.
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/**
 * @param tools `{ command, package }`: what is called, and the package that brings it
 * @param label what the lines on stderr begin with
 */
export function installDebianPackages(tools, label) {
  const missing = tools.filter(({ command }) => !isInstalled(command)).map((tool) => tool.package)
  if (missing.length === 0) return
  const install = `apt-get install -y --no-install-recommends ${[...new Set(missing)].join(' ')}`
  if (process.getuid() !== 0 || !existsSync('/etc/debian_version')) {
    console.error(
      `${label}: ${missing.length} package(s) missing; what needs them is skipped. As root run: ${install}`,
    )
    return
  }
  console.error(`${label}: ${install}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const options = { shell: true, stdio: ['ignore', 2, 2], env }
  // A new machine may still be at its own updates.
  const wait = '-o DPkg::Lock::Timeout=120'
  spawnSync(`apt-get ${wait} update -qq`, options)
  const { status } = spawnSync(`${install} ${wait}`, options)
  if (status !== 0) console.error(`${label}: that failed; what needs ${missing.join(', ')} is skipped`)
}

/** @param command a name that is looked for in PATH, or a path */
export function isInstalled(command) {
  const candidates = command.startsWith('/')
    ? [command]
    : [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'].map((dir) => join(dir, command))
  return candidates.some((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { removeIfThere } from '@podwire/api/files'
import { errors } from '../errors.ts'

/**
 * Replaces a file in one step, also one that runs now: whoever started the old one goes on with it. Makes the directory where
 * there is none.
 *
 * Not by `writeFileWhole`, which is for small texts of state that go with a reboot: these are on disk, where a power cut must not
 * leave an empty executable, and everybody reads them, whatever the mask of who writes.
 * @throws PodwireError `CNI_FILE`
 */
export function replaceFile(file: string, content: string | Buffer, mode: number): void {
  const directory = dirname(file)
  // What begins with a dot no runtime takes for a configuration or a plugin.
  const temporary = join(directory, `.podwire-${process.pid}.tmp`)
  try {
    mkdirSync(directory, { recursive: true, mode: 0o755 })
    const fd = openSync(temporary, 'wx', mode)
    try {
      writeFileSync(fd, content)
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    // Whatever the mask of this process.
    chmodSync(temporary, mode)
    renameSync(temporary, file)
  } catch (cause) {
    removeIfThere(temporary)
    throw errors.CNI_FILE({ file, what: 'written' }, cause)
  }
}

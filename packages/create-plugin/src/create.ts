import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errnoOf } from '@podwire/api'
import { errors } from './errors.ts'
import type { Files } from './template.ts'

/**
 * Checks that a package can be made in `dir`: it isn't there, or has nothing in it.
 * @throws PodwireError `NOT_EMPTY`, `NOT_A_DIRECTORY`
 */
export async function assertEmpty(dir: string): Promise<void> {
  const found = await readdir(dir).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw errnoOf(error) === 'ENOTDIR' ? errors.NOT_A_DIRECTORY({ dir }) : error
  })
  if (found.length > 0) throw errors.NOT_EMPTY({ dir, found })
}

/** Writes a package: beside its place first, so that there is all of it or nothing. */
export async function create(dir: string, files: Files, signal: AbortSignal): Promise<void> {
  await assertEmpty(dir)
  await mkdir(dirname(dir), { recursive: true })
  const unfinished = await mkdtemp(join(dirname(dir), `.${basename(dir)}-`))
  try {
    await writeFiles(unfinished, files, signal)
    await moveInto(unfinished, dir)
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
}

/** A directory that is there already stays the same one: somebody's shell may be in it. */
async function moveInto(unfinished: string, dir: string): Promise<void> {
  const exists = await stat(dir).then(
    () => true,
    () => false,
  )
  if (!exists) {
    // As mkdir would have made it.
    await chmod(unfinished, 0o777 & ~process.umask())
    await rename(unfinished, dir)
    return
  }
  await assertEmpty(dir)
  for (const name of await readdir(unfinished)) await rename(join(unfinished, name), join(dir, name))
}

/** Writes files into a directory, and makes those above them. */
export async function writeFiles(dir: string, files: Files, signal: AbortSignal): Promise<void> {
  for (const [path, { text, isExecutable }] of files) {
    signal.throwIfAborted()
    await mkdir(dirname(join(dir, path)), { recursive: true })
    await writeFile(join(dir, path), text, { mode: isExecutable ? 0o755 : 0o644 })
  }
}

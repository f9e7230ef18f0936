import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { errors } from './errors.ts'

/**
 * Checks that a plugin's executable is a file which may be run.
 * @throws PodwireError `EXEC_MISSING`, `EXEC_BAD_PERMISSIONS`
 */
export async function validateExecutable(executable: string): Promise<void> {
  const isFile = await stat(executable).then(
    (found) => found.isFile(),
    () => false,
  )
  if (!isFile) throw errors.EXEC_MISSING({ executable })
  await access(executable, constants.X_OK).catch(() => {
    throw errors.EXEC_BAD_PERMISSIONS({ executable })
  })
}

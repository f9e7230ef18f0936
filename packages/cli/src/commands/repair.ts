import { podKey } from '@podwire/api'
import { command, type DefineCommand } from '../command.ts'
import type { GlobalFlags, JsonFlag } from '../flags.ts'
import { withHost } from '../host.ts'
import { print, printJson, printNote } from '../output.ts'
import { interrupted } from '../signals.ts'

const define: DefineCommand = (does) =>
  command('repair', 'check every pod, and mend what differs from what was set up', 'podwire repair')
    .option('--json', 'print JSON')
    .action(does(repair))
export default define

/** Exits with 1 when a pod could not be mended. */
async function repair({ json = false, ...flags }: GlobalFlags & JsonFlag): Promise<number> {
  const results = await withHost(flags, (host) => host.repair({ signal: interrupted }), {
    resident: false,
  })
  if (json) printJson(results)
  else if (results.length === 0) print('no pods')
  for (const { pod, repaired, failed } of json ? [] : results) {
    if (failed === undefined)
      print(`${podKey(pod)}: ${repaired === undefined ? 'ok' : `repaired: ${repaired}`}`)
    else printNote(`${podKey(pod)}: ${failed}`)
  }
  return results.some(({ failed }) => failed !== undefined) ? 1 : 0
}

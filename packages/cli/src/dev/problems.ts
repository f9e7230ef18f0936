import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '@podwire/api'
import type { Problem } from './trial.ts'

/** What went wrong, each with the places in the package that it came through. */
export function problemsOf(error: unknown, dir: string): Problem[] {
  if (error instanceof AggregateError) return error.errors.flatMap((one) => problemsOf(one, dir))
  return [{ message: messageOf(error), positions: positionsIn(stacksOf(error), dir) }]
}

function stacksOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  const own = error instanceof AggregateError ? error.errors.map(stacksOf).join('\n') : ''
  return [error.stack ?? '', own, stacksOf(error.cause)].join('\n')
}

/** `src/plugin.ts:12:5` for each frame of a stack, and each error of a compiler, that lies in the package. */
function positionsIn(stacks: string, dir: string): string[] {
  const found = [...stacks.matchAll(/(file:\/\/[^\s)]+|\/[^\s():]+):(\d+):(\d+)/g)].flatMap(
    ([, place = '', line, column]) => {
      // tsx marks the files that it compiles with a query.
      const path = place.startsWith('file://') ? fileURLToPath(place.split('?')[0] ?? place) : place
      const inside = relative(dir, path)
      const isOwn = !inside.startsWith('..') && !inside.includes('node_modules')
      return isOwn ? [`${inside}:${line}:${column}`] : []
    },
  )
  return [...new Set(found)].slice(0, 5)
}

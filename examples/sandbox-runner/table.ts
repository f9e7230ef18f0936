import type { Job } from './job.ts'

/** A table of jobs: rewritten in place on a terminal, a line for each change elsewhere. */
export function showJobs(jobs: readonly Job[], out = process.stdout) {
  const shown = new Map<Job, string>()
  let lines = 0

  function draw() {
    const rows = [['JOB', 'STATE', 'ADDRESS', 'PORT', 'SET UP IN', ''], ...jobs.map(cells)]
    const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
    const text = rows.map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    out.write(`${lines > 0 ? `\u001b[${lines}A` : ''}${text.map((line) => `\u001b[2K${line}\n`).join('')}`)
    lines = text.length
  }

  return {
    refresh: () => {
      if (out.isTTY) return draw()
      for (const job of jobs) {
        if (shown.get(job) === job.state) continue
        shown.set(job, job.state)
        if (job.state !== 'waiting') out.write(`${cells(job).filter(Boolean).join('  ')}\n`)
      }
    },
    end: () => {
      const done = jobs.filter(({ state }) => state === 'done').length
      out.write(`${done} of ${jobs.length} done\n`)
    },
  }
}

function cells({ name, state, address = '', hostPort, setUpMs, note = '' }: Job): string[] {
  return [
    name,
    state,
    address,
    String(hostPort),
    setUpMs === undefined ? '' : `${setUpMs.toFixed(1)} ms`,
    note,
  ]
}

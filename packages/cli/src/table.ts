/** Lines of aligned columns, the first row being the heads; bold heads on a terminal. */
export function formatTable(rows: readonly (readonly string[])[], colour = process.stdout.isTTY): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map((row, index) => {
      const line = row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()
      return colour && index === 0 ? `\u001b[1m${line}\u001b[22m` : line
    })
    .join('\n')
}

/** A page of the site: its path without `.md`, and its text. */
export interface Page {
  /** `reference/commands/run` */
  readonly path: string
  readonly text: string
}

/** Text as it may stand in a cell of a table, with code between backticks left as it is. */
export function cell(text: string): string {
  return plain(text).replaceAll('|', '\\|').replaceAll('\n', ' ')
}

/** Text in which nothing is a tag, and nothing an expression of the site's templates. */
export function plain(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('{{', '&#123;&#123;')
}

/** Inline code. */
export function code(text: string): string {
  const ticks = text.includes('`') ? '``' : '`'
  return `${ticks}${text}${ticks}`
}

/** Inline code in a cell of a table. */
export function codeCell(text: string): string {
  return code(text).replaceAll('|', '\\|')
}

export function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``
}

export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  return [heads, heads.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** Paragraphs, those that are empty left out. */
export function paragraphs(...parts: readonly (string | undefined)[]): string {
  return `${parts.filter((part) => part).join('\n\n')}\n`
}

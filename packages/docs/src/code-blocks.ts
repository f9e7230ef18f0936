/** A code block of a page that is more than text to read. */
export type CodeBlock =
  /** ```` ```js file=NAME ````: to be saved under a name. */
  | { readonly kind: 'file'; readonly name: string; readonly text: string }
  /** ```` ```sh run ```` and ```` ```console run ````: commands, and with `console` what they print. */
  | { readonly kind: 'commands'; readonly commands: readonly Command[] }
  /** ```` ```sh author ````, ```` ```sh operator ````: commands of one of the two, which need a registry. */
  | { readonly kind: 'author' | 'operator'; readonly commands: readonly Command[] }

interface Command {
  readonly command: string
  /** Undefined: not shown. */
  readonly output?: string
}

/** The blocks of a page that are marked, in their order. */
export function markedBlocks(page: string): CodeBlock[] {
  const fences = page.matchAll(/^```(\w+) (run|author|operator|file=(\S+))\n([\s\S]*?)^```$/gm)
  return [...fences].map(([, language, mark, name, text = '']): CodeBlock => {
    if (name !== undefined) return { kind: 'file', name, text }
    const kind = mark === 'author' || mark === 'operator' ? mark : 'commands'
    return { kind, commands: language === 'console' ? session(text) : script(text) }
  })
}

function script(text: string): Command[] {
  return text
    .split('\n')
    .filter((command) => command !== '')
    .map((command) => ({ command }))
}

function session(text: string): Command[] {
  return text
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [command = '', ...output] = part.trimEnd().split('\n')
      return { command, output: output.join('\n') }
    })
}

import { type Completions, flatten } from './tree.ts'

/** A script for zsh: `eval "$(podwire completion zsh)"`, after compinit. */
export function zshCompletion(root: Completions): string {
  const all = flatten(root)
  const below = all.filter((one) => one !== root).map(({ path }) => `'${path}'`)
  const values = all.flatMap(({ path, options }) =>
    options.flatMap(({ names, takesValue, choices }) => {
      const complete = choices.length > 0 ? `compadd -- ${choices.join(' ')}` : '_files'
      return takesValue ? names.map((name) => `    '${path} ${name}') ${complete}; return ;;`) : []
    }),
  )
  const described = all.map((one) => `    '${one.path}') described=(${describe(one).join(' ')}) ;;`)
  return `#compdef ${root.name}
_${root.name}() {
  local command=${root.name} word
  local -a described
  for word in "\${(@)words[2,CURRENT - 1]}"; do
    if [[ $word == -- ]]; then _files; return; fi
    case "$command $word" in
    ${below.join('|')}) command="$command $word" ;;
    esac
  done
  case "$command \${words[CURRENT - 1]}" in
${values.join('\n')}
  esac
  case "$command" in
${described.join('\n')}
  esac
  _describe '${root.name}' described
  _files
}
compdef _${root.name} ${root.name}
`
}

function describe({ commands, words, options }: Completions): string[] {
  return [
    ...commands.map(({ name, description }) => entry(name, description)),
    ...words.map((word) => entry(word, '')),
    ...options.flatMap(({ names, description }) => names.map((name) => entry(name, description))),
  ]
}

// A colon parts a word from its description.
function entry(word: string, description: string): string {
  const text = description ? `${word}:${description}` : word
  return `'${text.replaceAll("'", `'\\''`)}'`
}

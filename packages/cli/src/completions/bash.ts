import { type Completions, flatten } from './tree.ts'

/** A script for bash: `eval "$(podwire completion bash)"`. */
export function bashCompletion(root: Completions): string {
  const all = flatten(root)
  const below = all.filter((one) => one !== root).map(({ path }) => `'${path}'`)
  const choices = all.flatMap(({ path, options }) =>
    options.flatMap((option) =>
      option.takesValue
        ? option.names.map((name) => `    '${path} ${name}') words='${option.choices.join(' ')}' ;;`)
        : [],
    ),
  )
  const words = all.map((one) => `    '${one.path}') words='${wordsOf(one).join(' ')}' ;;`)
  return `_${root.name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} command=${root.name} words i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    [[ \${COMP_WORDS[i]} == -- ]] && return
    case "$command \${COMP_WORDS[i]}" in
    ${below.join('|')}) command="$command \${COMP_WORDS[i]}" ;;
    esac
  done
  case "$command" in
${words.join('\n')}
  esac
  case "$command \${COMP_WORDS[COMP_CWORD - 1]}" in
${choices.join('\n')}
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o default -F _${root.name} ${root.name}
`
}

function wordsOf({ commands, words, options }: Completions): string[] {
  return [...commands.map(({ name }) => name), ...words, ...options.flatMap(({ names }) => names)]
}

import { cancel, confirm, intro, isCancel, note, select, text } from '@clack/prompts'
import { messageOf } from '@podwire/api'
import { type Answers, defaultDescription, defaults, kinds, languages } from './answers.ts'
import { errors } from './errors.ts'
import { type PluginNames, pluginNames } from './plugin-names.ts'

/** What flags have answered already. */
export interface Given extends Partial<Answers> {
  /** The name as it was given, of either kind. */
  readonly name?: string
}

/**
 * Asks for what no flag has answered, and at last whether to go on.
 * @throws PodwireError `CANCELLED`
 */
export async function ask(given: Given): Promise<Answers> {
  intro('A network plugin for Podwire')
  const names = pluginNames(given.name ?? (await askName()))
  const language = given.language ?? (await choose('In which language?', languages, defaults.language))
  const kind = given.kind ?? (await choose('How does it set a pod up?', kinds, defaults.kind))
  const description = given.description ?? (await askDescription(names))
  note(describeNames(names), 'Its names')
  if (!answered(await confirm({ message: 'Write it?' }))) cancelled()
  return { ...names, description, kind, language }
}

/** Both names, as they are shown before anything is written. */
function describeNames({ packageName, pluginName }: PluginNames): string {
  return `npm package         ${packageName}\nin a configuration  ${pluginName}`
}

async function askName(): Promise<string> {
  const name = await text({
    message: 'What is the plugin called?',
    placeholder: 'acme.io/mysdn, or as a package @acme/podwire-plugin-mysdn',
    validate: (value) => {
      try {
        pluginNames(value ?? '')
        return undefined
      } catch (error) {
        return messageOf(error)
      }
    },
  })
  return answered(name)
}

async function askDescription({ pluginName }: PluginNames): Promise<string> {
  const initialValue = defaultDescription(pluginName)
  return answered(await text({ message: 'What does it do, in a sentence?', initialValue }))
}

async function choose<Key extends string>(
  message: string,
  table: Readonly<Record<Key, string>>,
  initialValue: Key,
): Promise<Key> {
  // Object.entries forgets the type of the keys.
  const entries = Object.entries(table) as [Key, string][]
  const options = entries.map(([value, hint]) => ({ value: value as string, label: value as string, hint }))
  // One of those that were offered.
  return answered(await select({ message, options, initialValue: initialValue as string })) as Key
}

function answered<T>(value: T): Exclude<T, symbol> {
  if (isCancel(value)) return cancelled()
  // Clack's only symbol says that it was cancelled.
  return value as Exclude<T, symbol>
}

function cancelled(): never {
  cancel('Nothing was written.')
  throw errors.CANCELLED({})
}

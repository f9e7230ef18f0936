import { existsSync, readFileSync } from 'node:fs'
import { code as asCode, cell, codeCell, fence, type Page, paragraphs, plain, table } from '../markdown.ts'
import type { WorkspacePackage } from '../workspace.ts'
import { type ErrorDescription, errorsOf } from './error-tables.ts'

const notes = new URL('../../notes/', import.meta.url)

/** Entries whose code is the name of an errno, which the kernel chooses, share a page. */
const SYSTEM = 'system'
const hasOwnCode = ({ code }: ErrorDescription) => /^[A-Z][A-Z0-9_]+$/.test(code)

/** A page for each code, one for what the kernel says, and the list of all. */
export function errorPages(packages: readonly WorkspacePackage[]): Page[] {
  const all = packages.flatMap(errorsOf)
  const codes = new Set(all.filter(hasOwnCode).map(({ code }) => code))
  return [
    listOf(packages, all),
    ...[...codes].map((code) =>
      pageOf(
        code,
        all.filter((entry) => entry.code === code),
      ),
    ),
    systemPage(all.filter((entry) => !hasOwnCode(entry))),
  ]
}

/** The page of a code. */
function pageOf(code: string, entries: readonly ErrorDescription[]): Page {
  const sections = entries.map((entry) => section(entry, entries.length > 1))
  const note = noteOn(code)
  const others = entries.every(({ remedies }) => remedies.length === 0) && note === undefined ? GENERAL : note
  return {
    path: `errors/${code}`,
    // A list leads from one to the other, and nobody reads them in a row.
    text: paragraphs('---\nprev: false\nnext: false\n---', `# ${code}`, ...sections, others, BACK),
  }
}

const GENERAL =
  'The message names the cause. `--verbose` prints the causes behind it, and what happened before.'
const BACK = '[All errors](index.md)'

function section(
  { packageName, message, remedies, exitCode, cniCode }: ErrorDescription,
  severalPackages: boolean,
): string {
  const exit = exitCode === 2 ? 'it was used or configured wrongly' : 'it failed'
  return paragraphs(
    severalPackages ? `## From ${packageName}` : undefined,
    fence('text', message),
    remedies.length > 0 ? `::: tip What to do\n${remedies.map(plain).join('\n\n')}\n:::` : undefined,
    `From ${asCode(packageName)}. A command line exits with ${exitCode}: ${exit}.${
      cniCode === undefined ? '' : ` CNI's own number is ${cniCode}.`
    }`,
  ).trimEnd()
}

function systemPage(entries: readonly ErrorDescription[]): Page {
  return {
    path: `errors/${SYSTEM}`,
    text: paragraphs(
      '# Errors of the kernel',
      noteOn(SYSTEM),
      '## How they read',
      table(
        ['from', 'message'],
        entries.map(({ packageName, message }) => [codeCell(packageName), codeCell(message)]),
      ),
      BACK,
    ),
  }
}

function listOf(packages: readonly WorkspacePackage[], all: readonly ErrorDescription[]): Page {
  const lists = packages.flatMap(({ name }) => {
    const own = all.filter((entry) => entry.packageName === name && hasOwnCode(entry))
    if (own.length === 0) return []
    const rows = own.map(({ code, message }) => [`[${code}](${code}.md)`, cell(firstLine(message))])
    return [`## ${name}`, table(['code', 'message'], rows)]
  })
  return { path: 'errors/index', text: paragraphs(noteOn('index'), ...lists) }
}

/** The hand-written text about a code, where there is one. */
function noteOn(code: string): string | undefined {
  const file = new URL(`${code}.md`, notes)
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? ''
}

// The licences of what others wrote and a bundle holds: they ask to be handed on with the code.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** @param metafile esbuild's; returns the text, empty where everything is this project's own */
export function thirdPartyLicences({ inputs }) {
  const dirs = new Set(
    Object.keys(inputs)
      .filter((input) => input.includes('node_modules/'))
      .map((input) => packageDirOf(resolve(input))),
  )
  const texts = [...dirs].map((dir) => {
    const { name, version, license } = JSON.parse(readFileSync(join(dir, 'package.json'), 'utf8'))
    const file = readdirSync(dir).find((entry) => /^licen[cs]e/i.test(entry))
    const text = file ? readFileSync(join(dir, file), 'utf8').trim() : `Licence: ${license}`
    return { name, text: `${name} ${version}\n\n${text}\n` }
  })
  return texts
    .sort((a, b) => a.name.localeCompare(b.name))
    .map(({ text }) => text)
    .join(`\n${'-'.repeat(80)}\n\n`)
}

// A package.json without a name only says how the files beside it are to be read.
function packageDirOf(file) {
  for (let dir = dirname(file); ; dir = dirname(dir)) {
    const manifest = join(dir, 'package.json')
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).name) return dir
  }
}

import type { PluginReport } from './report.ts'

const label = 'podwire plugin'

/** The report as a badge for a README: an SVG image that says how many rules the plugin keeps. */
export function formatBadge({ passed, failed }: PluginReport): string {
  const value = failed === 0 ? `${passed} rules kept` : `${failed} of ${passed + failed} rules broken`
  const [left, right] = [widthOf(label), widthOf(value)]
  const text = (content: string, middle: number) =>
    `<text x="${middle}" y="14" text-anchor="middle">${content}</text>`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${left + right}" height="20" role="img" aria-label="${label}: ${value}">`,
    `<title>${label}: ${value}</title>`,
    `<clipPath id="round"><rect width="${left + right}" height="20" rx="3"/></clipPath>`,
    `<g clip-path="url(#round)"><rect width="${left}" height="20" fill="#444"/>`,
    `<rect x="${left}" width="${right}" height="20" fill="${failed === 0 ? '#2c7a3f' : '#b3362c'}"/></g>`,
    `<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">`,
    `${text(label, left / 2)}${text(value, left + right / 2)}</g></svg>\n`,
  ].join('')
}

// An image can't measure its text: Verdana's letters are 6.6 pixels wide on average at this size.
function widthOf(text: string): number {
  return Math.round(text.length * 6.6) + 12
}

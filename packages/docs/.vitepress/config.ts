import { readFileSync } from 'node:fs'
import { defineConfig } from 'vitepress'

/** What src/site.ts found in the repository. */
interface Lists {
  readonly commands: readonly string[]
  readonly packages: readonly { readonly name: string; readonly slug: string }[]
}

const { commands, packages } = JSON.parse(
  readFileSync(new URL('../.site/navigation.json', import.meta.url), 'utf8'),
) as Lists
const repository = 'https://github.com/podwire/podwire'

const guides = [
  { text: 'Start here', link: '/start' },
  { text: 'Operators', link: '/operators' },
  { text: 'Plugin authors', link: '/plugin-authors' },
  { text: 'Data paths', link: '/data-paths' },
  { text: 'Untrusted code', link: '/untrusted-code' },
  { text: 'Many nodes', link: '/many-nodes' },
  { text: 'CNI library', link: '/cni-library' },
  { text: 'Netlink', link: '/netlink' },
]

export default defineConfig({
  title: 'Podwire',
  description: 'Networking for sandboxes, from Node.js',
  lang: 'en',
  base: '/podwire/',
  srcDir: '.site',
  outDir: 'dist',
  cacheDir: 'node_modules/.cache/vitepress',
  cleanUrls: true,
  // Nothing is asked of another host, neither by the build nor by a reader's browser.
  head: [['link', { rel: 'icon', href: '/podwire/icon.svg', type: 'image/svg+xml' }]],
  // The text of all pages, for the search.
  vite: { build: { chunkSizeWarningLimit: 5000 } },
  markdown: { theme: { light: 'github-light', dark: 'github-dark' }, languageAlias: { conflist: 'json' } },
  themeConfig: {
    search: { provider: 'local' },
    nav: [
      {
        text: 'Guides',
        link: '/start',
        activeMatch:
          '^/(start|operators|plugin-authors|data-paths|untrusted-code|many-nodes|cni-library|netlink)',
      },
      { text: 'Reference', link: '/reference/configuration', activeMatch: '^/(reference|packages)/' },
      { text: 'Troubleshooting', link: '/troubleshooting', activeMatch: '^/(errors/|troubleshooting)' },
      // As text: the theme would fetch a picture for it.
      { text: 'Source', link: repository },
    ],
    sidebar: [
      { text: 'Guides', items: guides },
      {
        text: 'Troubleshooting',
        items: [
          { text: 'Where to look', link: '/troubleshooting' },
          { text: 'Errors by code', link: '/errors/' },
        ],
      },
      {
        text: 'Reference',
        items: [
          { text: 'Configuration', link: '/reference/configuration' },
          {
            text: 'Command line',
            link: '/reference/commands/',
            collapsed: true,
            items: commands.map((name) => ({ text: name, link: `/reference/commands/${name}` })),
          },
          { text: 'Rules for plugins', link: '/reference/plugin-rules' },
          { text: 'Rules for CNI plugins', link: '/reference/cni-rules' },
          { text: 'API', link: '/reference/api/' },
          {
            text: 'Packages',
            collapsed: true,
            items: packages.map(({ name, slug }) => ({ text: name, link: `/packages/${slug}` })),
          },
        ],
      },
      {
        text: 'Background',
        items: [
          { text: 'Comparison', link: '/comparison' },
          { text: 'Figures', link: '/figures' },
          { text: 'CNI plugins tested', link: '/cni-conformance' },
          { text: 'Where it runs', link: '/platforms' },
          { text: 'The kubelet, by symbol', link: '/kubelet' },
          { text: 'Security', link: '/security' },
        ],
      },
    ],
    notFound: {
      title: 'There is no such page',
      quote: 'A code of an error that is not in the list of errors belongs to a plugin of somebody else.',
      linkText: 'To the front page',
    },
    outline: { level: [2, 3] },
    footer: { message: 'Apache-2.0' },
  },
})

interface Tool {
  readonly command: string
  readonly package: string
}

export function installDebianPackages(tools: readonly Tool[], label: string): void
export function isInstalled(command: string): boolean

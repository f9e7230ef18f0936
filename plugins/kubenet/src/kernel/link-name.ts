/**
 * Whether the kernel takes this as a link's name, and as that name alone: it makes a number of `%d`, has directories `all`
 * and `default` beside those of links, and takes any bytes, where what is not ASCII is written differently by every tool.
 */
export function isLinkName(name: string): boolean {
  return /^[!-$&-.0-9;-~]{1,15}$/.test(name) && !['.', '..', 'all', 'default'].includes(name)
}

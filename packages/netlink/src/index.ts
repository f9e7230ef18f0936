export { NetlinkError } from './errors.ts'
export {
  createNetns,
  isNetns,
  listNetns,
  type NamedNetns,
  NETNS_DIR,
  type NetnsId,
  namedNetns,
  netnsId,
  openNetns,
  removeNetns,
  withNetns,
} from './namespaces.ts'

/** The interface name a pod's network gets unless the host says otherwise. Source: `network.DefaultInterfaceName`. */
export const DEFAULT_INTERFACE_NAME = 'eth0'

/** The plugin a host runs when its configuration names none. Source: `network.DefaultPluginName`. */
export const DEFAULT_PLUGIN_NAME = 'kubernetes.io/no-op'

/** As an MTU in {@link InitOptions}: the plugin chooses its own. Source: `network.UseDefaultMTU`. */
export const USE_DEFAULT_MTU = 0

/** The event sent when the node's pod CIDR becomes known or changes. Source: `NET_PLUGIN_EVENT_POD_CIDR_CHANGE`. */
export const NET_PLUGIN_EVENT_POD_CIDR_CHANGE = 'pod-cidr-change'

/**
 * The detail of a pod CIDR change: one CIDR, or several separated by commas (dual stack).
 * Source: `NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR`.
 */
export const NET_PLUGIN_EVENT_POD_CIDR_CHANGE_DETAIL_CIDR = 'pod-cidr'

/** The annotation that asks for addresses: `10.88.0.7`, or one of each family separated by a comma. */
export const IP_ANNOTATION = 'podwire.dev/ip'

/** The annotation that asks for the MAC address of the pod's interface: `02:42:0a:58:00:07`. */
export const MAC_ANNOTATION = 'podwire.dev/mac'

/** The version of this contract, stated by a package's manifest and by its `definePlugin`. */
export const API_VERSION = 1

/** The alias of a link by which a node reaches the pods of others: its address of the pod CIDR is in nobody's way. */
export const CLUSTER_LINK_ALIAS = 'podwire cluster'

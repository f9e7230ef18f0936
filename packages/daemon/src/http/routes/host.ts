import type { LocalNetworkHost } from '@podwire/core'
import type { Operations } from '../../operations.ts'
import { defineRoute, type Route } from '../route.ts'
import {
  activePlugin,
  daemonDescription,
  eventBody,
  operationParams,
  pluginList,
  resetAnswer,
  resetBody,
  statusAnswer,
} from '../schemas.ts'

/** The parts of a daemon that these routes speak of. */
export interface About {
  readonly host: LocalNetworkHost
  readonly operations: Operations
  readonly version: string
  readonly startedAt: string
}

/** The host itself, its plugins, and what runs. */
export function hostRoutes({ host, operations, version, startedAt }: About): readonly Route[] {
  const describe = () => {
    const { file, config } = host.configuration
    return {
      apiVersion: 1,
      version,
      pid: process.pid,
      stateDir: config.stateDir,
      ...(file === undefined ? {} : { configFile: file }),
      networkPlugin: config.networkPlugin,
      startedAt,
    }
  }
  return [
    defineRoute({
      method: 'GET',
      path: '/v1/daemon',
      id: 'getDaemon',
      summary: 'Who answers; asks nobody.',
      answer: daemonDescription,
      looks: true,
      handle: async () => describe(),
    }),
    defineRoute({
      method: 'GET',
      path: '/v1/status',
      id: 'getStatus',
      summary: 'Whether pods can be set up, and why not.',
      answer: statusAnswer,
      looks: true,
      handle: async () => ({
        readiness: await host.status(),
        daemon: describe(),
        stopping: operations.stopping,
      }),
    }),
    defineRoute({
      method: 'GET',
      path: '/v1/plugin',
      id: 'getPlugin',
      summary:
        'The network plugin that sets pods up: where it came from, how it was started, what it can do.',
      answer: activePlugin,
      looks: true,
      handle: async () => {
        const { from, start, capabilities } = await host.plugin()
        return { from, start, capabilities: capabilities() }
      },
    }),
    defineRoute({
      method: 'GET',
      path: '/v1/plugins',
      id: 'listPlugins',
      summary: 'The plugin packages that were found, and why others were rejected.',
      answer: pluginList,
      looks: true,
      handle: async () => ({
        active: host.configuration.config.networkPlugin,
        packages: host.catalog.discovery.packages,
        rejected: host.catalog.discovery.rejected,
      }),
    }),
    defineRoute({
      method: 'POST',
      path: '/v1/plugins/reset',
      id: 'resetPlugin',
      summary: 'Starts a plugin again that stays down because it crashed too often.',
      body: resetBody,
      answer: resetAnswer,
      handle: async ({ body }) => ({ wasDown: await host.resetPlugin(body.name) }),
    }),
    defineRoute({
      method: 'POST',
      path: '/v1/event',
      id: 'sendEvent',
      summary: 'Passes an event to the plugin; what it reports comes as an event.',
      body: eventBody,
      handle: ({ body }) => host.event(body.name, body.details),
    }),
    defineRoute({
      method: 'DELETE',
      path: '/v1/operations/{operation}',
      id: 'abortOperation',
      summary: 'Aborts what a request with the header podwire-operation of this value began.',
      params: operationParams,
      looks: true,
      handle: async ({ params }) => operations.abort(params.operation),
    }),
  ]
}

import type { NetworkHost, PodName, PodRequest } from '@podwire/core'
import { errors } from '../../errors.ts'
import { defineRoute, type Route } from '../route.ts'
import {
  podBody,
  podList,
  podParams,
  podsQuery,
  pruneBody,
  pruned,
  repaired,
  sandboxQuery,
  sandboxRecord,
  tearDownQuery,
  tornDown,
} from '../schemas.ts'

const path = '/v1/pods/{namespace}/{name}'

/** What is done with pods. */
export function podRoutes(host: NetworkHost): readonly Route[] {
  return [
    defineRoute({
      method: 'PUT',
      path,
      id: 'setUpPod',
      summary: 'Gives a pod its network; again applies what changed, and mends what is no longer right.',
      params: podParams,
      body: podBody.optional(),
      answer: sandboxRecord,
      handle: ({ params, body, signal }) =>
        // zod spells an absent key `T | undefined`; parsed output never holds such a key.
        host.setUpPod({ ...body, ...params } as PodRequest, { signal }),
    }),
    defineRoute({
      method: 'GET',
      path,
      id: 'getPod',
      summary: 'What is known of one pod.',
      params: podParams,
      query: sandboxQuery,
      answer: sandboxRecord,
      looks: true,
      handle: async ({ params, query }) => {
        const record = await host.pod(podName(params, query))
        if (!record) throw errors.POD_NOT_FOUND({ pod: params })
        return record
      },
    }),
    defineRoute({
      method: 'DELETE',
      path,
      id: 'tearDownPod',
      summary: "Takes a pod's network away; one that isn't there is success.",
      params: podParams,
      query: tearDownQuery,
      answer: tornDown,
      handle: async ({ params, query, signal }) => ({
        left: await host.tearDownPod(podName(params, query), { signal, force: query.force === 'true' }),
      }),
    }),
    defineRoute({
      method: 'POST',
      path: `${path}/check`,
      id: 'checkPod',
      summary: "Fails when a pod's network is no longer as it was set up, where the plugin can tell.",
      params: podParams,
      query: sandboxQuery,
      handle: ({ params, query, signal }) => host.checkPod(podName(params, query), { signal }),
    }),
    defineRoute({
      method: 'GET',
      path: '/v1/pods',
      id: 'listPods',
      summary: 'The pods, those that are stuck among them.',
      query: podsQuery,
      answer: podList,
      looks: true,
      handle: async ({ query: { namespace, phase, plugin } }) => ({
        pods: (await host.pods()).filter(
          (record) =>
            (namespace === undefined || record.pod.namespace === namespace) &&
            (phase === undefined || record.phase === phase) &&
            (plugin === undefined || record.plugin === plugin),
        ),
      }),
    }),
    defineRoute({
      method: 'POST',
      path: '/v1/repair',
      id: 'repair',
      summary: 'Checks every pod, and mends what differs from what was set up.',
      answer: repaired,
      handle: async ({ signal }) => ({ pods: await host.repair({ signal }) }),
    }),
    defineRoute({
      method: 'POST',
      path: '/v1/prune',
      id: 'prune',
      summary: 'Tears down pods that are stuck, or whose owner or network namespace is gone.',
      body: pruneBody.optional(),
      answer: pruned,
      handle: async ({ body, signal }) => ({ pods: await host.prune({ ...body, signal }) }),
    }),
    defineRoute({
      method: 'POST',
      path: '/v1/gc',
      id: 'collectGarbage',
      summary: 'Has the plugin free what belongs to no pod.',
      handle: ({ signal }) => host.collectGarbage({ signal }),
    }),
  ]
}

function podName(
  params: { namespace: string; name: string },
  query: { sandboxId?: string | undefined },
): PodName {
  const { sandboxId } = query
  return sandboxId === undefined ? params : { ...params, sandboxId }
}

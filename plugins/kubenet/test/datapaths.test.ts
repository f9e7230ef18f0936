import { expect, test } from 'vitest'
import type { BridgeDatapath } from '../src/datapath/bridge/bridge-datapath.ts'
import type { Datapath, PodLink } from '../src/datapath/datapath.ts'
import { createDatapaths } from '../src/datapath/datapaths.ts'

const plan = {} as Parameters<Datapath['ensure']>[0] // nothing here looks into it
const ensured = { repaired: [], refused: [], taken: [], duplicatesFrom: undefined }

/** A host that connects pods routed now, and has one left on its bridge; `ensure` of the bridge is what a test says. */
function hostWith(ensure: (forgetPod: () => void) => Promise<typeof ensured>) {
  let onBridge: PodLink[] = [{ namespace: 'a', name: 'old', sandboxId: 'old', datapath: 'bridge' } as PodLink]
  const forgetPod = () => {
    onBridge = []
  }
  const routed = { isThere: () => true, ensure: async () => ensured }
  const bridge = { isThere: () => true, ensure: () => ensure(forgetPod), answerFor: async () => [] }
  return createDatapaths(
    'routed',
    // What is called here, of what a data path is.
    { routed: routed as unknown as Datapath, bridge: bridge as unknown as BridgeDatapath },
    (name) => (name === 'bridge' ? onBridge : []),
  )
}

const gone = () => Object.assign(new Error('there is no such link'), { code: 'ENODEV' })

test('a bridge that another process takes away with its last pod is missed by nobody', async () => {
  const datapaths = hostWith(async (forgetPod) => {
    forgetPod()
    throw gone()
  })
  await expect(datapaths.ensure(plan)).resolves.toMatchObject({ repaired: [], refused: [] })
})

test('one that a pod needs still is', async () => {
  const datapaths = hostWith(async () => {
    throw gone()
  })
  await expect(datapaths.ensure(plan)).rejects.toThrow('no such link')
})

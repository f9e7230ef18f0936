import { join } from 'node:path'
import { describeValue, type Logger } from '@podwire/api'
import type { HostEmitter, LocalNetworkHost, SandboxRecord } from '@podwire/core'
import {
  type AttachmentRequest,
  type CniAnswer,
  type CniCall,
  CniCode,
  type CniPlugin,
  currentVersion,
  isCniError,
  pluginError,
  serveCni,
} from '@podwire/libcni/plugin'
import { attach, checkAttached, collect, detach, detachRecord } from './attach.ts'
import { sandboxIdOf } from './attachment.ts'
import { callLimits, parseCallBody } from './call-body.ts'
import { cniErrorOf } from './cni-error.ts'
import { createExclusive } from './exclusive.ts'
import { createJournal, type Outcome } from './journal.ts'
import { createDoorStatus } from './readiness.ts'

/** An answer, and what undoes it where nobody takes it. */
interface DoorAnswer extends CniAnswer {
  /** Of an ADD that succeeded. */
  readonly undo?: () => Promise<void>
}

/** Where container runtimes come in, by way of the executable that they call. */
export interface CniDoor {
  /** Carries out what was detached while no daemon ran. */
  open(): Promise<void>
  /**
   * Answers one call. Never rejects.
   * @param body see {@link parseCallBody}
   * @param signal of an ADD that nobody waits for any more; what it did is undone
   */
  answer(body: Uint8Array, signal: AbortSignal): Promise<DoorAnswer>
}

interface DoorParts {
  readonly host: LocalNetworkHost & { readonly events: HostEmitter }
  readonly stateDir: string
  readonly log: Logger
}

export function createCniDoor({ host, stateDir, log }: DoorParts): CniDoor {
  const status = createDoorStatus(host)
  const attachments = createExclusive()
  const adding = new Set<string>()
  const never = new AbortController().signal

  const del = async (request: AttachmentRequest) => {
    await attachments.run(sandboxIdOf(request), () => detach(host, request))
    status.noteDetached()
  }

  const carryOutOne = async (body: Uint8Array): Promise<Outcome> => {
    const broken = (reason: string): Outcome => ({ done: false, isBroken: true, reason })
    let call: CniCall
    try {
      call = parseCallBody(body)
    } catch (error) {
      return broken(cniErrorOf(error).message)
    }
    const command = call.env['CNI_COMMAND'] ?? ''
    if (command !== 'DEL') return broken(`it is ${describeValue(command)}, and DEL alone can be done later`)
    let failure: unknown
    let sandboxId: string | undefined
    const noting: CniPlugin = {
      ...plugin(never, () => {}),
      del: (request) => {
        sandboxId = sandboxIdOf(request)
        return del(request).catch((error: unknown) => {
          failure = error
          throw error
        })
      },
    }
    const { exitCode, stdout } = await serveCni(noting, call)
    if (exitCode === 0) return { done: true, sandboxId }
    // What was refused before anything was done will be refused again.
    return {
      done: false,
      isBroken: failure === undefined,
      reason: stdout.replaceAll(/\s+/g, ' ').trim(),
      sandboxId,
    }
  }

  const journal = createJournal({
    dir: join(stateDir, 'cni-journal'),
    carryOutOne,
    events: host.events,
    log,
    largest: callLimits.variables + callLimits.stdin + 1,
  })

  const add = async (request: AttachmentRequest, signal: AbortSignal) => {
    const id = sandboxIdOf(request)
    // Which of the two is meant nobody can say; the first one goes on.
    if (adding.has(id))
      throw pluginError(
        CniCode.tryAgainLater,
        `${request.ifName} of container ${request.containerId} is being attached by another call`,
      )
    adding.add(id)
    try {
      return await attachments.run(id, () => attach(host, request, signal))
    } finally {
      adding.delete(id)
    }
  }

  /** What undoes an ADD whose result nobody has; what was attached anew since then stays. */
  const undoOf =
    ({ pod, createdAt }: SandboxRecord) =>
    () =>
      attachments.run(pod.sandboxId, async () => {
        const record = await host.sandbox(pod.sandboxId)
        if (record?.createdAt === createdAt) await detachRecord(host, record)
      })

  function plugin(signal: AbortSignal, onAttached: (record: SandboxRecord) => void): CniPlugin {
    return {
      about: 'podwire',
      add: async (request) => {
        const sandboxId = sandboxIdOf(request)
        await journal.carryOut(sandboxId)
        signal.throwIfAborted()
        if (journal.isPending(sandboxId))
          throw pluginError(
            CniCode.tryAgainLater,
            `what detaches ${request.ifName} of container ${request.containerId} was left without a daemon, and can't be carried out yet`,
          )
        try {
          const { record, result } = await add(request, signal)
          status.noteAttached()
          onAttached(record)
          return result
        } catch (error) {
          status.noteAttached(error)
          throw cniErrorOf(error)
        }
      },
      check: (request) => converted(checkAttached(host, request, signal)),
      del: (request) => converted(del(request)),
      gc: async ({ name, validAttachments }) => {
        await journal.carryOut()
        const valid = new Set(validAttachments.map(sandboxIdOf))
        // What is being attached now was not there when the runtime made its list.
        const isStaying = ({ pod: { sandboxId } }: SandboxRecord) =>
          valid.has(sandboxId) || attachments.isBusy(sandboxId)
        await converted(collect(host, name, isStaying))
      },
      status: async () => {
        // ADD waits for it; whoever asks for the status has no time.
        void journal.carryOut()
        await status.assertReady()
      },
    }
  }

  return {
    open: () => journal.carryOut(),
    answer: async (body, signal) => {
      let attached: SandboxRecord | undefined
      const served = plugin(signal, (record) => {
        attached = record
      })
      let call: CniCall
      try {
        call = parseCallBody(body)
      } catch (error) {
        const { message, cniCode } = cniErrorOf(error)
        const told = { cniVersion: currentVersion, code: cniCode, msg: message }
        return { stdout: `${JSON.stringify(told, null, 4)}\n`, exitCode: 1 }
      }
      const answer = await serveCni(served, call)
      if (!attached) return answer
      const undo = undoOf(attached)
      if (answer.exitCode === 0) return { ...answer, undo }
      // It is there, and its result can't be told in the version that was asked for.
      await undo()
      return answer
    },
  }
}

async function converted<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw isCniError(error) ? error : cniErrorOf(error)
  }
}

import { variant } from '../good.ts'

export default variant(() => ({
  event(name) {
    if (name !== 'pod-cidr-change') throw new Error(`unknown event ${name}`)
  },
}))

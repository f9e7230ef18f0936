import { variant } from '../good.ts'

setInterval(() => {}, 1_000)

export default variant(() => ({}))

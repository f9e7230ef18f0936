/** What became of one test: it passed unless there is an error, or a reason why it could not be tried. */
export interface TestResult {
  readonly name: string
  readonly ms?: number
  readonly error?: string
  readonly skipped?: string
}

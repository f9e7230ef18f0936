/** Ends the run with one line of counts, and names every test that was skipped or had to be tried again: none is in silence. */
export default class CountReporter {
  onInit({ config }) {
    this.namePattern = config.testNamePattern
  }

  onTestRunEnd(modules) {
    const count = { passed: 0, failed: 0, skipped: 0 }
    const skipped = []
    const retried = []
    for (const module of modules) {
      // A file that can't be loaded has no tests, and has failed all the same.
      if (module.state() === 'failed' && module.children.size === 0) count.failed++
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'skipped' && !this.#isWanted(test)) continue
        if (state in count) count[state]++
        const name = `${module.relativeModuleId}: ${test.fullName}`
        if (state === 'skipped') skipped.push(name)
        if (test.diagnostic()?.flaky) retried.push(name)
      }
    }
    for (const name of skipped) console.log(`SKIPPED ${name}`)
    for (const name of retried) console.log(`PASSED AT A SECOND TRY ${name}`)
    console.log(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`)
  }

  /** Whether `-t` left the test in: vitest says of both kinds that they were skipped. */
  #isWanted(test) {
    const names = [test.name]
    for (let suite = test.parent; suite.type === 'suite'; suite = suite.parent) names.unshift(suite.name)
    return this.namePattern === undefined || this.namePattern.test(names.join(' '))
  }
}

// Writes down what became of each mutant's spec: jest's own report names a file, and many mutants share one.

import { writeFileSync } from 'node:fs';

export default class Reporter {
  #statuses = {};

  constructor(_global, { output }) {
    this.output = output;
  }

  onTestResult({ path, context: { config } }, { testResults }) {
    const { spec, index } = config.globals.mutant;
    if (path === spec) this.#statuses[index] = testResults.map(({ status }) => status);
  }

  onRunComplete() {
    writeFileSync(this.output, JSON.stringify(this.#statuses));
  }
}

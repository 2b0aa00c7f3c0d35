// A mutant is killed by one test that fails: what comes after that test in its spec is left out.

import { TestEnvironment } from 'jest-environment-node';

export default class Environment extends TestEnvironment {
  #killed = false;

  handleTestEvent({ name, test }) {
    if (name === 'test_done' && test.errors.length > 0) this.#killed = true;
    if (name === 'test_start' && this.#killed) test.mode = 'skip';
  }
}

// jest runs each spec in a realm of its own, and what Node throws comes from another: there `error instanceof Error` is
// false for a missing file. Here the errors of both realms are the same errors, as they are in the product.

import { runInThisContext } from 'node:vm';

for (const name of ['Error', 'TypeError', 'RangeError', 'SyntaxError', 'AggregateError']) {
  const [inner, outer] = [globalThis[name], runInThisContext(name)];
  const ordinary = Function.prototype[Symbol.hasInstance];
  Object.defineProperty(inner, Symbol.hasInstance, {
    // Inherited by every class of errors, which must still mean itself alone.
    value(candidate) {
      return ordinary.call(this, candidate) || (this === inner && ordinary.call(outer, candidate));
    },
  });
}

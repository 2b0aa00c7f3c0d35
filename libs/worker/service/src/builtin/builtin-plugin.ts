// A built-in worker is its row of the contract's table and a function.

import { builtinContracts } from '@nexusmon/worker-contract';
import type { BuiltinName } from '@nexusmon/worker-contract';
import type { z } from 'zod';
import type { WorkerContext, WorkerPlugin, WorkerTask } from '../worker-plugin.js';

type Contracts = typeof builtinContracts;
export type InputOf<Name extends BuiltinName> = z.output<Contracts[Name]['input']>;
export type OutputOf<Name extends BuiltinName> = z.output<Contracts[Name]['output']>;

export type Execute<Name extends BuiltinName> = (
  task: WorkerTask<InputOf<Name>>,
  context: WorkerContext,
) => Promise<OutputOf<Name>>;

/** The input is parsed here, so that a list of workers of different inputs needs no cast. */
export const builtinPlugin = <Name extends BuiltinName>(name: Name, execute: Execute<Name>): WorkerPlugin => {
  const contract = builtinContracts[name];
  return {
    name,
    ...contract,
    execute: (task, context) => execute({ ...task, input: contract.input.parse(task.input) as InputOf<Name> }, context),
  };
};

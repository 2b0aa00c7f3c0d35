import { describe, expect, it } from '@jest/globals';
import { accept, nothing, reject, type Decider, type Message } from '@nexusmon/kernel';
import { specify } from './decider-spec.js';

type State = { lit: boolean; since?: string | undefined };
type Switch = Decider<State, Message, Message, { code: string }>;

const [actor, time] = ['operator:ada', '2026-01-01T12:00:00.000Z'];
const press: Message = { type: 'Press', actor, time, data: {} };
const smash: Message = { type: 'Smash', actor, time, data: {} };
const pressed: Message = { type: 'Pressed', actor, time, data: {} };

/** A lamp that can be lit once. */
const lamp: Switch = {
  initial: { lit: false },
  decide: ({ type }, { lit }) => {
    if (type !== 'Press') return reject({ code: 'not-a-press' });
    return lit ? nothing : accept(pressed);
  },
  evolve: () => ({ lit: true }),
};

describe('a specified decider', () => {
  const { given, history } = specify(lamp);

  it('is held to its events', () => {
    given().when(press).then(pressed);
    expect(() => given().when(press).thenNothing()).toThrow();
    expect(() => given().when(press).then(pressed, pressed)).toThrow();
  });
  it('is held to its silence', () => {
    given(pressed).when(press).thenNothing();
    expect(() => given(pressed).when(press).then(pressed)).toThrow();
  });
  it('is held to its refusal', () => {
    given().when(smash).thenRejected({ code: 'not-a-press' });
    expect(() => given().when(smash).thenRejected({ code: 'broken' })).toThrow();
  });
  it('has the history of what it accepted', () => expect(history([smash, press, smash, press])).toEqual([pressed]));

  it('may not answer the same question in two ways', () => {
    let asked = 0;
    const moody: Switch = { ...lamp, decide: () => ((asked += 1) % 2 === 0 ? nothing : accept(pressed)) };
    expect(() => specify(moody).given().when(press)).toThrow();
  });
  it('may not change what it was given', () => {
    const greedy: Switch = { ...lamp, evolve: (state) => Object.assign(state, { lit: true }) };
    expect(() => specify(greedy).given(pressed).when(press)).toThrow();
  });
  it('may not keep what JSON cannot', () => {
    const forgetful: Switch = { ...lamp, evolve: () => ({ lit: true, since: undefined }) };
    expect(() => specify(forgetful).given(pressed).when(press)).toThrow();
  });
});

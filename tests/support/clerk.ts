// Sends every command several times: at once, later, after the mission has moved on, and with another body.

import { pause, pick, type Said } from './asking.js';
import type { Round } from './drill.js';
import { answered, isInFlight, MISSIONS, send, type Keyed } from './keyed.js';
import { bodyOf, type Kind } from './mission-life.js';
import type { Client } from './product.js';

type Verb = Readonly<{ name: string; sovereign: boolean }>;

const VERBS: readonly Verb[] = [
  { name: 'run', sovereign: false },
  { name: 'run', sovereign: true },
  { name: 'approve', sovereign: true },
  { name: 'deny', sovereign: false },
  { name: 'cancel', sovereign: false },
];

/** What moves a mission as it was created: only what has moved it is remembered with its body. */
const moves = (kind: Kind, { name, sovereign }: Verb): boolean => {
  if (kind === 'plain') return false; // It may have ended before.
  if (kind === 'held') return name === 'run' || name === 'cancel';
  return name !== 'run' || sovereign;
};

export class Clerk {
  readonly missions = new Map<string, string>();
  commands = 0;
  requests = 0;
  in_flight = 0;

  constructor(
    private readonly operator: Client,
    private readonly round: Round,
  ) {}

  /** One mission and two verbs on it. */
  async story(kind: Kind, name: string): Promise<void> {
    const creation: Keyed = { key: name, path: MISSIONS, body: bodyOf(kind, name) };
    const created = await this.once(creation);
    if (created.status !== 201) return this.round.fail(`${name}: created with ${created.status}`);
    const mission_id = String(created.body['mission_id']);
    this.missions.set(name, mission_id);
    const commands = [1, 2].map((number) => {
      const verb = pick(VERBS, this.round.random);
      const path = `${MISSIONS}/${mission_id}/${verb.name}`;
      const command: Keyed = {
        key: `${name}-${number}`,
        path,
        body: { reason: `for ${number}` },
        sovereign: verb.sovereign,
      };
      return { verb, command };
    });
    const firsts: Said[] = [];
    for (const { command } of commands) firsts.push(await this.once(command));
    await pause(this.round.random() * 100);

    await this.repeated(creation, created, mission_id);
    await this.refusedWithout(creation, { ...creation.body, goal: 'Something else' });
    for (const [index, { verb, command }] of commands.entries()) {
      const first = firsts[index];
      if (!first || first.status >= 300) continue; // A failed try is not remembered as an answer.
      await this.repeated(command, first, mission_id);
      if (index === 0 && moves(kind, verb)) await this.refusedWithout(command, { reason: 'another one' });
    }
  }

  /** The command, from several senders at the same moment. */
  private async once(command: Keyed): Promise<Said> {
    this.commands += 1;
    const senders = 1 + Math.floor(this.round.random() * 4);
    const racing = Array.from({ length: senders }, () => send(this.operator, command));
    this.requests += senders;
    const told = (await Promise.all(racing)).filter((each) => typeof each === 'object');
    this.in_flight += told.filter(isInFlight).length;
    const settled = told.filter((said) => !isInFlight(said) && said.status !== 503 && said.status !== 504);
    const last = await this.untilSettled(command);
    const same = settled.every(
      ({ status, body }) => status === last.status && body['mission_id'] === last.body['mission_id'],
    );
    if (!same) this.differs(command, [...settled, last]);
    return last;
  }

  private async repeated(command: Keyed, first: Said, mission_id: string): Promise<void> {
    const again = await this.untilSettled(command);
    if (again.status !== first.status || again.body['mission_id'] !== mission_id) this.differs(command, [first, again]);
  }

  private async refusedWithout(command: Keyed, body: object): Promise<void> {
    const { status, body: problem } = await this.untilSettled({ ...command, body });
    if (status !== 422 || problem['code'] !== 'idempotency-key-reused')
      this.round.fail(`${command.path} ${command.key} with another body: ${status} ${JSON.stringify(problem)}`);
  }

  /** What was on its way when a process died may still be on its way. */
  private async untilSettled(command: Keyed): Promise<Said> {
    for (;;) {
      this.requests += 1;
      const said = await answered(this.operator, command);
      if (!isInFlight(said)) return said;
      this.in_flight += 1;
      await pause(20);
    }
  }

  private differs({ path, key }: Keyed, said: readonly Said[]): void {
    const answers = said.map(({ status, body }) => `${status} ${String(body['code'] ?? body['status'])}`);
    this.round.fail(`${path} ${key}: ${answers.join(', ')}`);
  }
}

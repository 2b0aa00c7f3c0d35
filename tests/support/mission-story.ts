// What the clients of one mission saw, told as a history.

import { ask, pause, pick, type Said, type Told } from './asking.js';
import type { History, Operation } from './linearizability.js';
import { bodyOf, type Kind, type VERBS } from './mission-life.js';
import type { Client } from './product.js';

const MISSIONS = '/v1/engine/missions';
export const CLIENTS_PER_MISSION = 8;
/** What each asks of a mission beside its creation; a mission has 32 operations, and never fewer than 24. */
const ASKED_EACH = 3;
const REASON = { reason: 'It is a drill.' };
const LIKELY = ['read', 'read', 'run', 'run_with_key', 'approve', 'approve', 'deny', 'cancel'] as const;

const PATHS: Readonly<Record<(typeof VERBS)[number], string>> = {
  run: 'run',
  run_with_key: 'run',
  approve: 'approve',
  deny: 'deny',
  cancel: 'cancel',
};

/** What was said, in the words of the model; undefined for what has certainly done nothing, whatever it says. */
const answerOf = (told: Told): string | null | undefined => {
  if (told === 'unasked') return undefined;
  if (told === 'unknown') return null;
  const { status, body } = told;
  if (status < 300 || status === 403) return String(status);
  if (status === 429 || (status === 409 && body['code'] === 'request-in-flight')) return undefined;
  if (status === 409) return `409 ${body['code'] === 'approval-settled' ? 'settled' : String(body['state'])}`;
  if (status === 503 || status === 504) return null;
  return `${status} ${JSON.stringify(body)}`;
};

/** The eight clients of one mission, and what they saw. */
export class Story {
  readonly operations: Operation[] = [];
  asked = 0;
  private onAsked: () => void = () => undefined;

  constructor(
    readonly kind: Kind,
    readonly name: string,
    private readonly operator: Client,
    private readonly random: () => number,
  ) {}

  async live(onAsked: () => void): Promise<void> {
    this.onAsked = onAsked;
    await Promise.all(Array.from({ length: CLIENTS_PER_MISSION }, () => this.client()));
  }

  get history(): History {
    return { id: `${this.kind} ${this.name}`, initial: 'absent', operations: this.operations };
  }

  private async client(): Promise<void> {
    const mission_id = await this.created();
    for (let asked = 0; asked < ASKED_EACH;) {
      await pause(this.random() * 15);
      const op = pick(LIKELY, this.random);
      const path = `${MISSIONS}/${mission_id}`;
      const key = { 'x-operator-key': this.operator.operator_key };
      const told =
        op === 'read'
          ? await this.tell(op, () => ask(this.operator, 'GET', path))
          : await this.tell(op, () =>
              ask(this.operator, 'POST', `${path}/${PATHS[op]}`, REASON, op === 'run' ? {} : key),
            );
      if (told === 'unasked') await pause(50);
      else asked += 1;
    }
  }

  /** All clients send the same request, and repeat it until they know what it made. */
  private async created(): Promise<string> {
    for (;;) {
      const body = bodyOf(this.kind, this.name);
      const told = await this.tell('create', () =>
        ask(this.operator, 'POST', MISSIONS, body, { 'idempotency-key': this.name }),
      );
      if (typeof told === 'object' && told.status === 201) return String(told.body['mission_id']);
      await pause(30 + this.random() * 60);
    }
  }

  private async tell(op: string, question: () => Promise<Told>): Promise<Told> {
    const called = performance.now();
    const told = await question();
    const returned = performance.now();
    const answer = answerOf(told);
    if (answer === undefined) return told;
    this.asked += 1;
    this.onAsked();
    if (op === 'read' && typeof told === 'object' && told.status === 200) this.saw(told, called, returned);
    else this.operations.push({ op, called, returned: answer === null ? Infinity : returned, answer });
    // Every document says what the mission was at some moment of the request.
    if (op !== 'read' && typeof told === 'object' && told.status < 300) this.saw(told, called, returned);
    return told;
  }

  private saw({ body }: Said, called: number, returned: number): void {
    this.operations.push({ op: 'read', called, returned, answer: String(body['status']) });
  }
}

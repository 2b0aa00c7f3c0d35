/**
 * Gathers what is asked within one turn of the event loop into one request, because a request costs more than a
 * question. Where turns bring little it does not wait for their end, but only for what is asked in the same breath.
 * Answers come back in the order of the questions; a failed request fails all of its questions.
 */
export class Batch<Question, Answer> {
  private asked = 0;
  private quiet = true;
  private waiting: { question: Question; resolve: (answer: Answer) => void; reject: (error: unknown) => void }[] = [];

  constructor(
    private readonly size_max: number,
    private readonly send: (questions: Question[]) => Promise<readonly Answer[]>,
  ) {}

  ask(question: Question): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ question, resolve, reject });
      this.asked += 1;
      if (this.asked > 1) return;
      setImmediate(() => this.endTurn());
      if (this.quiet) queueMicrotask(() => this.flush());
    });
  }

  private endTurn(): void {
    this.quiet = this.asked === 1;
    this.asked = 0;
    this.flush();
  }

  private flush(): void {
    while (this.waiting.length > 0) void this.sendSome(this.waiting.splice(0, this.size_max));
  }

  private async sendSome(some: typeof this.waiting): Promise<void> {
    try {
      const answers = await this.send(some.map(({ question }) => question));
      if (answers.length !== some.length) throw new Error(`${some.length} questions, ${answers.length} answers`);
      some.forEach(({ resolve }, index) => resolve(answers[index] as Answer));
    } catch (error) {
      for (const { reject } of some) reject(error);
    }
  }
}

// Missions as people read them.

import type { Artifact, Event, Mission, MissionStatus, Task } from '@nexusmon/client';
import { EXIT, type ExitCode } from './exit-codes.js';
import { eventName } from './follow.js';
import type { Color, Output } from './output.js';
import { jsonText, plainLine, plainText, shortened } from './text.js';

const GOAL_WIDTH = 60;
const VALUE_WIDTH_MAX = 2_000;

const COLOR_OF: Readonly<Partial<Record<string, Color>>> = {
  completed: 'green',
  failed: 'red',
  cancelled: 'red',
  awaiting_approval: 'yellow',
  running: 'blue',
};

export const statusText = (output: Output, status: string): string => {
  const color = COLOR_OF[status];
  return color === undefined ? plainLine(status) : output.color(color, plainLine(status));
};

export const isEnded = ({ status }: Mission): boolean => ENDED.includes(status);
const ENDED: readonly MissionStatus[] = ['completed', 'failed', 'cancelled'];

export const exitOfMission = ({ status, decision }: Mission): ExitCode => {
  if (status === 'completed') return EXIT.ok;
  if (status === 'awaiting_approval') return EXIT.awaiting_approval;
  if (status === 'cancelled' && decision?.outcome === 'denied') return EXIT.denied;
  return ENDED.includes(status) ? EXIT.failure : EXIT.timeout;
};

export const missionRows = (missions: readonly Mission[]): string[][] => [
  ['MISSION', 'STATUS', 'RANK', 'CREATED', 'GOAL'],
  ...missions.map(({ mission_id, status, effective_rank, created_at, goal }) => [
    ...[mission_id, status, effective_rank, created_at],
    shortened(plainLine(goal), GOAL_WIDTH),
  ]),
];

const valueText = (value: unknown): string =>
  shortened(typeof value === 'string' ? plainText(value) : jsonText(value), VALUE_WIDTH_MAX);

const indented = (text: string): string => text.replaceAll('\n', '\n  ');

const artifactText = ({ artifact_id, name, size }: Pick<Artifact, 'artifact_id' | 'name' | 'size'>): string =>
  `${artifact_id}  ${plainLine(name)}  ${size} bytes`;

const taskRow = ({ task_id, worker, status, attempt, error }: Task): string[] => [
  task_id,
  worker,
  status,
  attempt > 1 ? `attempt ${attempt}` : '',
  error ? `${error.code}: ${error.message}` : '',
];

/** The block that `watch` keeps on a terminal, and the beginning of what `show` prints. */
export const missionHead = (output: Output, mission: Mission): string => {
  const { mission_id, goal, status, rank, effective_rank, tasks, reason, decision } = mission;
  const gated = rank === effective_rank ? rank : `${effective_rank} (asked: ${rank})`;
  const why = reason ?? decision?.reason;
  return [
    `${output.color('bold', mission_id)}  ${statusText(output, status)}  rank ${gated}\n`,
    `  ${shortened(plainLine(goal), Math.min(output.width, VALUE_WIDTH_MAX) - 2)}\n`,
    ...(why === undefined ? [] : [`  reason: ${shortened(plainLine(why), GOAL_WIDTH * 2)}\n`]),
    output.table(tasks.map(taskRow), '  '),
  ].join('');
};

export const nextSteps = ({ mission_id, status, hold }: Mission): string | undefined => {
  if (status === 'awaiting_approval') return `nexusmon mission approve ${mission_id}, or deny`;
  if (status === 'accepted' && hold) return `nexusmon mission run ${mission_id}`;
  return undefined;
};

export const outcomeText = (mission: Mission): string => {
  const { error, result, started_at, ended_at } = mission;
  const lines: string[] = [];
  if (error) lines.push(`error: ${plainLine(`${error.code}: ${error.message}`)}`);
  if (result) {
    lines.push(`result: ${result.kind}${result.fulfilled ? '' : ', not fulfilled'}`);
    lines.push(...result.artifacts.map((artifact) => `artifact: ${artifactText(artifact)}`));
    if (result.output_bytes !== undefined)
      lines.push(
        `output: ${result.output_bytes} bytes; nexusmon api GET ${mission.links['self'] ?? ''}/tasks shows it`,
      );
    if (result.output !== undefined) lines.push(`output: ${indented(valueText(result.output))}`);
  }
  if (started_at !== undefined && ended_at !== undefined)
    lines.push(`ran: ${(Date.parse(ended_at) - Date.parse(started_at)) / 1_000} s`);
  return lines.map((line) => `  ${line}\n`).join('');
};

export const missionText = (output: Output, mission: Mission): string => {
  const next = nextSteps(mission);
  return `${missionHead(output, mission)}${outcomeText(mission)}${next === undefined ? '' : `  next: ${next}\n`}`;
};

const FACTS = ['task_id', 'attempt', 'code', 'message', 'outcome', 'reason', 'granted_by', 'denied_by', 'why'];

/** One line, which says in words what happened. */
export const eventText = (event: Event): string => {
  const facts = FACTS.flatMap((name) => {
    const value = event.data[name];
    return typeof value === 'string' || typeof value === 'number' ? [`${name}=${plainLine(String(value))}`] : [];
  });
  return `${[event.time, eventName(event), ...facts].join('  ')}\n`;
};

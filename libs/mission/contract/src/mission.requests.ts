import {
  actor,
  asked,
  category,
  instant,
  json_object,
  mission_id,
  pageQuery,
  rank,
  text,
} from '@nexusmon/shared-contract';
import { z } from 'zod';
import { workerManifest } from '@nexusmon/worker-contract';
import { constraints, GOAL_LENGTH_MAX, plan } from './plan.js';
import { mission_status } from './mission.document.js';

const tag = z.string().regex(/^[A-Za-z0-9_.:-]{1,64}$/);

/** What an operator may say of a new mission, and nothing else. */
export const createBody = z
  .strictObject({
    goal: text(1, GOAL_LENGTH_MAX),
    category: category.default('forge'),
    rank: rank.optional(),
    constraints: constraints.default({}),
    params: json_object.default({}),
    template: z.string().min(1).max(128).optional(),
    plan: plan.optional(),
    hold: z.boolean().default(false),
    priority: z.int().min(-100).max(100).default(0),
    tags: z.array(tag).max(32).default([]),
  })
  .refine((body) => !(body.plan && body.template), {
    path: ['template'],
    message: 'a plan and a template exclude each other',
  })
  .meta({ id: 'CreateMission' });
export type CreateBody = z.infer<typeof createBody>;

export const reasonBody = z.strictObject({ reason: text(1, 4_000).optional() }).meta({ id: 'OptionalReason' });
export const requiredReasonBody = z.strictObject({ reason: text(1, 4_000) }).meta({ id: 'Reason' });

export const createMission = z.strictObject({
  asked,
  mission_id,
  body: createBody,
  wait_ms: z.int().min(0).max(120_000),
});
export const previewMission = z.strictObject({ body: createBody });
/** `sovereign`: the operator key came with this request and was right. */
const verb = { asked, mission_id, reason: text(1, 4_000).optional(), sovereign: z.boolean() };
export const missionVerb = z.strictObject(verb);
export const getMission = z.strictObject({ mission_id, min_position: z.string().optional() });
export const listTasks = z.strictObject({ mission_id, ...pageQuery, min_position: z.string().optional() });
/** Shorter words are looked for too, but a search must have one that narrows it down. */
const SEARCH_WORD_LENGTH_MIN = 3;
const search = text(1, 200)
  .refine((words) => words.split(/\s+/).some((word) => word.length >= SEARCH_WORD_LENGTH_MIN), {
    message: `one word must have ${SEARCH_WORD_LENGTH_MIN} characters or more`,
  })
  .describe('Words that the goal must have, each anywhere in it, in whatever case.');
export const listMissions = z.strictObject({
  ...pageQuery,
  status: mission_status.optional(),
  category: category.optional(),
  rank: rank.optional().describe('As it was asked for, or scored.'),
  effective_rank: rank.optional().describe('As the gate takes it.'),
  requested_by: actor.optional(),
  template: z.string().min(1).max(128).optional(),
  tag: tag.optional(),
  needs: z.enum(['approval', 'review']).optional().describe('Of a person.'),
  created_from: instant.optional(),
  created_before: instant.optional(),
  search: search.optional(),
  min_position: z.string().optional(),
});
export const countMissions = z.strictObject({ min_position: z.string().optional() });

export const MISSION_SUBJECTS = {
  create: 'cmd.mission.create',
  run: 'cmd.mission.run',
  approve: 'cmd.mission.approve',
  deny: 'cmd.mission.deny',
  cancel: 'cmd.mission.cancel',
  poll: 'cmd.mission.poll',
  report: 'cmd.mission.report',
  get: 'qry.mission.get',
  list: 'qry.mission.list',
  tasks: 'qry.mission.tasks',
  count: 'qry.mission.count',
  workers: 'qry.mission.workers',
  plans: 'qry.mission.plans',
  explain: 'qry.mission.explain',
  preview: 'qry.mission.preview',
  dead_letters: 'qry.mission.dead_letters',
} as const;

export const missionCounts = z
  .strictObject({
    by_status: z.record(z.string(), z.int()),
    queued_tasks: z.int(),
    running_tasks: z.int(),
    runners: z.int(),
    free_slots: z.int(),
  })
  .meta({ id: 'MissionCounts' });
export type MissionCounts = z.infer<typeof missionCounts>;

export const listWorkers = z.strictObject({});
export const templateDocument = z
  .strictObject({
    name: z.string(),
    description: z.string(),
    params: z.record(z.string(), z.strictObject({ type: z.string(), required: z.boolean(), description: z.string() })),
  })
  .meta({ id: 'Template' });
export const workersAndTemplates = z.strictObject({
  workers: z.array(workerManifest),
  templates: z.array(templateDocument),
});
export type WorkersAndTemplates = z.infer<typeof workersAndTemplates>;

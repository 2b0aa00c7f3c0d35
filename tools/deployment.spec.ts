// What the compose file and the manifests declare, as far as it can be seen without running them.

import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { SETTINGS } from '@nexusmon/config';
import { parse, parseAllDocuments } from 'yaml';

const ROOT = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
/** Each is a process of `npm start --separate`. */
const SERVICES = [
  'evolution-service',
  'gateway',
  'governance-service',
  'mission-service',
  'vault-service',
  'worker-runner',
];
const ONCE = ['provision', 'secrets'];
/** Told to a process by Node or by the C library, and no settings of ours. */
const NOT_OURS = ['NODE_ENV', 'MALLOC_ARENA_MAX'];

type Words = Readonly<Record<string, string>>;
type Container = Readonly<{
  image: string;
  entrypoint?: string[];
  command?: string[];
  environment?: Words;
  ports?: string[];
  healthcheck?: { test: string[] };
  cap_drop?: string[];
  network_mode?: string;
  privileged?: boolean;
}>;
const { services } = parse(read('docker-compose.yml'), { merge: true }) as {
  services: Readonly<Record<string, Container>>;
};
const containers = Object.entries(services);

const PINNED = /^[a-z0-9./-]+:v?\d+(\.\d+)+[\w.-]*(@sha256:[0-9a-f]{64})?$/;
const REFERENCE = /^\$\{\w+:\?[^}]+\}$/;

describe('the compose file', () => {
  it('has each of our services, by the entry point that npm start runs', () => {
    const entries = SERVICES.map((name) => services[name]?.command?.at(-1));
    expect(entries).toEqual(SERVICES.map((name) => `/app/apps/${name}/dist/main.js`));
    for (const name of SERVICES) expect(existsSync(join(ROOT, 'apps', name, 'src', 'main.ts'))).toBe(true);
  });

  it('publishes the gateway and nothing else, to this machine alone', () => {
    const published = containers.flatMap(([name, { ports = [] }]) => ports.map((port) => [name, port]));
    expect(published).toEqual([['gateway', '127.0.0.1:8000:8000']]);
    expect(containers.filter(([, { network_mode, privileged }]) => network_mode ?? privileged)).toEqual([]);
  });

  it('pins every image, and checks the health of whatever goes on running', () => {
    expect(containers.filter(([, { image }]) => !PINNED.test(image))).toEqual([]);
    const unchecked = containers.filter(([name, { healthcheck }]) => !healthcheck && !ONCE.includes(name));
    expect(unchecked).toEqual([]);
  });

  it('holds no secret', () => {
    const told = containers.flatMap(([, { environment = {} }]) => Object.entries(environment));
    const secrets = told.filter(([name]) => /(PASSWORD|SECRET|SECRET_KEY|OPERATOR_KEY)$/.test(name));
    expect(secrets.length).toBeGreaterThan(0);
    expect(secrets.filter(([, value]) => !REFERENCE.test(value))).toEqual([]);
    const passwords = told.flatMap(([, value]) => /:\/\/[^:/@]+:([^@]+)@/.exec(value)?.slice(1) ?? []);
    expect(passwords.length).toBeGreaterThan(0);
    expect(passwords.filter((password) => !REFERENCE.test(password))).toEqual([]);
  });

  it('tells a service nothing that is no setting, and no service the master secret', () => {
    const known = [...Object.keys(SETTINGS), ...NOT_OURS];
    for (const name of SERVICES) {
      const told = Object.keys(services[name]?.environment ?? {});
      expect(told.filter((setting) => !known.includes(setting))).toEqual([]);
    }
  });
});

type Resource = Readonly<{
  kind: string;
  metadata: { name: string };
  data?: Words;
  spec?: { template?: { spec: PodSpec }; podSelector?: object; ingress?: unknown[]; type?: string };
}>;
type PodSpec = Readonly<{
  automountServiceAccountToken?: boolean;
  securityContext?: { runAsNonRoot?: boolean };
  containers: readonly {
    image: string;
    command?: string[];
    args?: string[];
    env?: readonly { name: string; value?: string; valueFrom?: { secretKeyRef?: object } }[];
    envFrom?: readonly { configMapRef?: { name: string } }[];
    resources?: { requests?: object; limits?: object };
    readinessProbe?: object;
    livenessProbe?: object;
    securityContext?: { allowPrivilegeEscalation?: boolean; readOnlyRootFilesystem?: boolean };
  }[];
}>;

const files = globSync('k8s/base/*.yaml', { cwd: ROOT }).filter((file) => basename(file) !== 'kustomization.yaml');
const resources = files.flatMap((file) => parseAllDocuments(read(file)).map((document) => document.toJS() as Resource));
const config = resources.find(({ kind }) => kind === 'ConfigMap')?.data ?? {};
const workloads = resources.flatMap(({ kind, metadata: { name }, spec }) => {
  const pod = spec?.template?.spec;
  return pod ? [{ kind, name, pod }] : [];
});
const deployed = workloads.filter(({ kind }) => kind === 'Deployment');

describe('the base manifests', () => {
  it('are all in the kustomization', () => {
    const { resources: named } = parse(read('k8s/base/kustomization.yaml')) as { resources: string[] };
    expect(named.toSorted()).toEqual(files.map((file) => basename(file)).sort());
  });

  it('tell each service what the compose file tells it, in the same words', () => {
    expect(deployed.map(({ name }) => name).sort()).toEqual(SERVICES);
    for (const { name, pod } of deployed) {
      const [container] = pod.containers;
      expect(container?.envFrom).toEqual([{ configMapRef: { name: 'nexusmon' } }]);
      const own = Object.fromEntries((container?.env ?? []).map((entry) => [entry.name, entry.value]));
      expect({ ...config, ...own }).toEqual(services[name]?.environment);
      const line = [...(services[name]?.entrypoint ?? []), ...(services[name]?.command ?? [])];
      expect([...(container?.command ?? []), ...(container?.args ?? [])]).toEqual(line);
      expect(container?.image).toBe(services[name]?.image);
    }
  });

  it('bound, probe and confine whatever runs', () => {
    for (const { kind, name, pod } of workloads) {
      const [container] = pod.containers;
      expect([name, pod.automountServiceAccountToken, pod.securityContext?.runAsNonRoot]).toEqual([name, false, true]);
      expect(container?.securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
      });
      expect(container?.resources).toMatchObject({ requests: {}, limits: {} });
      expect(PINNED.test(container?.image ?? '')).toBe(true);
      if (kind !== 'Job') expect([container?.readinessProbe, container?.livenessProbe]).not.toContain(undefined);
    }
  });

  it('run and ask by tools that are there', () => {
    const named = ['docker-compose.yml', ...files].flatMap((file) => read(file).match(/\/app\/tools\/[\w./-]+/g) ?? []);
    expect(new Set(named)).toEqual(new Set(['/app/tools/deploy.mjs', '/app/tools/probe.mjs']));
    for (const path of new Set(named)) expect(existsSync(join(ROOT, path.slice('/app/'.length)))).toBe(true);
  });

  it('hold secrets by reference only, and let nobody in by default', () => {
    expect(resources.filter(({ kind }) => kind === 'Secret')).toEqual([]);
    const told = workloads.flatMap(({ pod }) => pod.containers.flatMap(({ env = [] }) => env));
    const secrets = told.filter(({ name }) => /(PASSWORD|SECRET|SECRET_KEY|DATABASE_URL)$/.test(name));
    expect(secrets.length).toBeGreaterThan(0);
    expect(secrets.filter(({ value, valueFrom }) => value !== undefined || !valueFrom?.secretKeyRef)).toEqual([]);
    const closed = resources.filter(({ kind, spec }) => kind === 'NetworkPolicy' && !spec?.ingress);
    expect(closed.map(({ spec }) => spec?.podSelector)).toEqual([{}]);
    expect(resources.filter(({ spec }) => ['NodePort', 'LoadBalancer'].includes(spec?.type ?? ''))).toEqual([]);
  });
});

const finder = join(ROOT, 'tools', 'setup-kubernetes-validate.sh');
const program = execFileSync('bash', [finder, '--find'], { encoding: 'utf8' }).trim();

describe('the schemas of Kubernetes', () => {
  const title = 'hold for every manifest, strictly';
  const test = program === '' ? it.skip : it;
  test(program === '' ? `${title} [skipped: kubernetes-validate is not installed]` : title, () => {
    const paths = files.map((file) => join(ROOT, file));
    const said = execFileSync(program, ['--strict', ...paths], { encoding: 'utf8', stdio: 'pipe' });
    expect(said.match(/ passed for resource /g)).toHaveLength(resources.length);
  });
});

// The architecture, as rules. Paths are the tags: libs/<context>/<layer>/… and libs/platform/<name>/….
// Fails closed: what a rule does not name is forbidden to that layer, Node's own modules included.
//
//   kernel ← contract ← domain (pure) ← service ← app; platform knows no context.
//
// tools/arch/dependency-cruiser.spec.ts plants one violation of each.

const spec = '\\.spec\\.ts$';
const packages = 'node_modules/';

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'everything-resolves',
      comment: 'A name that leads nowhere would slip past every other rule.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'kernel-stands-alone',
      severity: 'error',
      from: { path: '^libs/kernel/', pathNot: spec },
      to: { pathNot: '^libs/kernel/' },
    },
    {
      name: 'contract-is-plain-data',
      severity: 'error',
      from: { path: '^libs/[^/]+/contract/', pathNot: spec },
      to: { pathNot: ['^libs/kernel/', '^libs/[^/]+/contract/', `${packages}zod/`] },
    },
    {
      name: 'domain-is-pure',
      comment:
        'decide and evolve know the kernel, their own words, and the shared ones. No Nest, no ORM, no clock, no disk.',
      severity: 'error',
      from: { path: '^libs/([^/]+)/domain/', pathNot: spec },
      to: {
        pathNot: ['^libs/kernel/', '^libs/$1/(contract|domain)/', '^libs/shared/contract/', '^libs/worker/contract/'],
      },
    },
    {
      name: 'domain-borrows-types-only',
      comment: 'Permits and manifests are the words of the worker contract; a domain runs none of its code.',
      severity: 'error',
      from: { path: '^libs/[^/]+/domain/', pathNot: spec },
      to: { path: '^libs/worker/contract/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'platform-knows-no-context',
      severity: 'error',
      from: { path: '^libs/platform/', pathNot: spec },
      to: { path: '^(apps|libs)/', pathNot: '^libs/(platform|kernel|shared/contract)/' },
    },
    {
      name: 'contexts-meet-at-contracts',
      severity: 'error',
      from: { path: '^libs/([^/]+)/', pathNot: '^libs/gateway/' },
      to: { path: '^libs/[^/]+/(domain|service)/', pathNot: '^libs/$1/' },
    },
    {
      name: 'gateway-hosts-access',
      comment: 'Sessions live in the gateway; every other context it knows by contract.',
      severity: 'error',
      from: { path: '^libs/gateway/' },
      to: { path: '^libs/[^/]+/(domain|service)/', pathNot: '^libs/(gateway/service|access/domain)/' },
    },
    {
      name: 'nothing-imports-an-app',
      severity: 'error',
      from: { pathNot: '^apps/' },
      to: { path: '^apps/' },
    },
    {
      name: 'apps-only-compose',
      severity: 'error',
      from: { path: '^apps/([^/]+)/', pathNot: '^apps/(cli|cockpit)/' },
      to: { pathNot: ['^apps/$1/', '^libs/[^/]+/service/', '^libs/platform/(runtime|config)/'] },
    },
    {
      name: 'outside-asks-the-gateway',
      comment: 'The command line and the cockpit know what the generated client says, and where the gateway is.',
      severity: 'error',
      from: { path: '^apps/(cli|cockpit)/', pathNot: spec },
      to: { path: '^(apps|libs)/', pathNot: ['^apps/$1/', '^libs/client/', '^libs/platform/config/'] },
    },
    {
      name: 'client-stands-alone',
      comment: 'Whoever uses it has Node or a browser, and nothing of ours.',
      severity: 'error',
      from: { path: '^libs/client/', pathNot: spec },
      to: { pathNot: '^libs/client/' },
    },
    {
      name: 'nats-stays-in-platform',
      comment: 'A context that holds a connection could write around the log.',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: [spec, '^libs/(platform|testing)/'] },
      to: { path: `${packages}@nats-io/` },
    },
    {
      name: 'testing-stays-in-specs',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: [spec, '^libs/testing/'] },
      to: { path: '^libs/testing/' },
    },
    {
      name: 'testing-knows-no-context',
      severity: 'error',
      from: { path: '^libs/testing/', pathNot: spec },
      to: { path: '^(apps|libs)/', pathNot: '^libs/(testing|kernel|platform|shared/contract)/' },
    },
    {
      name: 'product-needs-no-development-package',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: [spec, '^libs/testing/'] },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'packages-are-declared',
      comment: 'A package that another one happens to bring is gone when that one changes its mind.',
      severity: 'error',
      from: { path: '^(apps|libs|tests|tools)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    tsPreCompilationDeps: true, // A type-only import is a dependency too.
    tsConfig: { fileName: 'tsconfig.base.json' },
    combinedDependencies: true, // Workspace packages declare theirs in the root.
    doNotFollow: { path: packages },
    exclude: { path: '(^|/)dist/' },
    // Workspace packages are links; `types` leads to their sources, the built files to nowhere that a rule names.
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'node', 'default'] },
  },
};

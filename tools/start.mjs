// `npm start`. Read by whatever Node the machine has: it says so when that one is too old, and does no more.

const OLDEST = 20;
const found = Number(process.versions.node.split('.')[0]);

if (found < OLDEST) {
  console.error(
    `nexusmon: Node ${OLDEST} or newer is needed to start; this is ${process.versions.node} (${process.execPath})`,
  );
  process.exitCode = 1;
} else {
  import('./start/bootstrap.mjs').then(({ main }) => main());
}

// `node tools/probe.mjs URL`: exit code 0 when it answers well, as containers are asked whether they are up. The image
// has Node, and no other program that could ask.

const [url] = process.argv.slice(2);
try {
  const { ok } = await fetch(url);
  process.exitCode = ok ? 0 : 1;
} catch (error) {
  console.error(`${url}: ${error.cause?.message ?? error.message}`);
  process.exitCode = 1;
}

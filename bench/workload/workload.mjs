// The workload of a short-lived application: connect with TLS and SCRAM, insert, select, close. Nothing is kept from one run to
// the next. The first run is not measured, because it loads and compiles the driver. Each line printed is one run, milliseconds.
import { readFileSync } from 'node:fs';
import postgres from 'postgres';

const ca = readFileSync(process.env.WORKLOAD_CA);
const runs = Number(process.env.WORKLOAD_RUNS);
const user = 999;

async function run() {
  const begin = performance.now();
  const sql = postgres({ ssl: { ca, servername: 'localhost' }, max: 1 });
  const connection = await sql.reserve();
  const connected = performance.now();
  await connection`insert into test_data values (${user}, 'lorem_ipsum', ${true})`;
  const inserted = performance.now();
  const rows = await connection`select userId, userText, isActive from test_data where userId = ${user} limit 1`;
  const selected = performance.now();
  connection.release();
  await sql.end();
  if (rows.length !== 1 || rows[0].usertext !== 'lorem_ipsum') throw new Error('the inserted row was not found');
  return { connect: connected - begin, insert: inserted - connected, select: selected - inserted, total: selected - begin };
}

for (let i = 0; i <= runs; i++) {
  const times = await run();
  if (i > 0) console.log(JSON.stringify(times));
}

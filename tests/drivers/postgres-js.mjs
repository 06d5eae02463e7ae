// A workload of postgres.js: prepared statements by default (Parse, Describe, Flush), pipelining, transactions, cursors, COPY, LISTEN.
import assert from 'node:assert/strict';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import postgres from 'postgres';

const sql = postgres({ max: 10, onnotice: () => {} });
const table = 'driver_postgres_js';
await sql`drop table if exists ${sql(table)}`;
await sql`create table ${sql(table)} (id int primary key, name text)`;

async function work(worker) {
  for (let i = 0; i < 20; i++) {
    const id = worker * 20 + i;
    await sql`insert into ${sql(table)} ${sql({ id, name: `row ${id}` })}`;
    const found = await sql`select name from ${sql(table)} where id = ${id}`;
    assert.deepEqual([...found], [{ name: `row ${id}` }]);
  }

  await assert.rejects(sql`insert into ${sql(table)} values (${worker * 20}, 'twice')`, { code: '23505' });
  await assert.rejects(sql.begin(async (transaction) => {
    await transaction`update ${transaction(table)} set name = 'changed' where id = ${worker * 20}`;
    await transaction`select 1/0`;
  }), { code: '22012' });
  const [row] = await sql`select name from ${sql(table)} where id = ${worker * 20}`;
  assert.equal(row.name, `row ${worker * 20}`);
}

await Promise.all(Array.from({ length: 20 }, (_, worker) => work(worker)));
const several = await Promise.all(Array.from({ length: 200 }, (_, i) => sql`select ${i}::int as i`));
assert.deepEqual(several.map(([{ i }]) => i), Array.from({ length: 200 }, (_, i) => i));

await pipeline(Readable.from(['1000\tcopied\n', '1001\tcopied\n']), await sql`copy ${sql(table)} from stdin`.writable());
const copied = [];
for await (const chunk of await sql`copy (select * from ${sql(table)} where id >= 1000 order by id) to stdout`.readable()) copied.push(chunk);
assert.equal(Buffer.concat(copied).toString(), '1000\tcopied\n1001\tcopied\n');

let seen = 0;
await sql`select * from ${sql(table)}`.cursor(50, (rows) => { seen += rows.length; });
assert.equal(seen, 402);

const heard = new Promise((resolve) => sql.listen('driver_news', resolve).then(() => sql.notify('driver_news', 'hello')));
assert.equal(await heard, 'hello');

const long = sql`select pg_sleep(30) /* postgres.js is cancelled */`.execute();
const ended = assert.rejects(long, { code: '57014' });
// A request that overtakes the statement is for nobody.
const asleep = () => sql`select count(*)::int as count from pg_stat_activity where wait_event = 'PgSleep' and strpos(query, ${'postgres.js is' + ' cancelled'}) > 0`;
while ((await asleep())[0].count === 0) await new Promise((resolve) => setTimeout(resolve, 50));
long.cancel();
await ended;

await sql`drop table ${sql(table)}`;
await sql.end();
console.log('postgres.js: ok');

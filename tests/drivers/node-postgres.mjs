// A workload of node-postgres: named statements, transactions, errors, many clients at once. The connection comes from PG… variables.
import assert from 'node:assert/strict';
import pg from 'pg';

const pool = new pg.Pool({ max: 20 });
const table = 'driver_node_postgres';
await pool.query(`drop table if exists ${table}`);
await pool.query(`create table ${table} (id int primary key, name text, data jsonb)`);

async function work(worker) {
  for (let i = 0; i < 20; i++) {
    const id = worker * 20 + i;
    await pool.query({ name: 'insert-row', text: `insert into ${table} values ($1, $2, $3)`, values: [id, `row ${id}`, { worker, i }] });
    const found = await pool.query({ name: 'find-row', text: `select name, data from ${table} where id = $1`, values: [id] });
    assert.deepEqual(found.rows, [{ name: `row ${id}`, data: { worker, i } }]);
    await assert.rejects(pool.query(`insert into ${table} values ($1, 'twice', null)`, [id]), { code: '23505' });
  }

  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query(`update ${table} set name = 'changed' where id = $1`, [worker * 20]);
    await client.query('savepoint s');
    await assert.rejects(client.query('select 1/0'), { code: '22012' });
    await client.query('rollback to s');
    await client.query(worker % 2 === 0 ? 'commit' : 'rollback');
    const { rows } = await client.query(`select name from ${table} where id = $1`, [worker * 20]);
    assert.equal(rows[0].name, worker % 2 === 0 ? 'changed' : `row ${worker * 20}`);
  } finally {
    client.release();
  }
}

await Promise.all(Array.from({ length: 20 }, (_, worker) => work(worker)));
const { rows } = await pool.query(`select count(*)::int as count from ${table}`);
assert.equal(rows[0].count, 400);
await pool.query(`drop table ${table}`);
await pool.end();
console.log('node-postgres: ok');

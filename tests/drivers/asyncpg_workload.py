"""A workload of asyncpg: every query a named statement of its cache (binary), portals, COPY, pipelined executemany, cancellation, settings."""
import asyncio
import datetime
import io

import asyncpg

TABLE = "driver_asyncpg"
WORKERS = 20
ROWS = 10


async def refused(error, awaitable):
    try:
        await awaitable
    except error:
        return
    raise AssertionError(f"there was no {error.__name__}")


async def work(worker):
    settings = {"application_name": f"worker {worker}", "search_path": f"schema_{worker % 3}, public", "TimeZone": f"Etc/GMT+{worker % 12}"}
    connection = await asyncpg.connect(server_settings=settings)
    try:
        await rows(connection, worker)
        await prepared(connection, worker)
        await transactions(connection, worker)
        await values(connection, worker)
        await session(connection, worker)
        await copies(connection, worker)
        await cancellation(connection, worker)
    finally:
        await connection.close()


async def rows(connection, worker):
    for i in range(ROWS):
        number = worker * ROWS + i
        assert await connection.execute(f"insert into {TABLE} values ($1, $2)", number, f"row {number}") == "INSERT 0 1"
        assert await connection.fetchval(f"select name from {TABLE} where id = $1", number) == f"row {number}"
        # Its text is this worker's alone, so the statements are many more than the pooler keeps.
        assert await connection.fetchval(f"select $1::int + {number}", i) == i + number
    await refused(asyncpg.UniqueViolationError, connection.execute(f"insert into {TABLE} values ($1, 'twice')", worker * ROWS))
    # One Bind and Execute after the other, and one Sync.
    await connection.executemany(f"update {TABLE} set name = $2 where id = $1", [(worker * ROWS + i, f"many {i}") for i in range(ROWS)])
    found = await connection.fetch(f"select name from {TABLE} where id between $1 and $2 order by id", worker * ROWS, worker * ROWS + ROWS - 1)
    assert [row["name"] for row in found] == [f"many {i}" for i in range(ROWS)]
    # A failure in the middle undoes all of it.
    twice = [(100_000 + worker, "new"), (worker * ROWS, "twice"), (200_000 + worker, "new")]
    await refused(asyncpg.UniqueViolationError, connection.executemany(f"insert into {TABLE} values ($1, $2)", twice))
    assert await connection.fetchval(f"select count(*) from {TABLE} where id in ($1, $2)", 100_000 + worker, 200_000 + worker) == 0


async def prepared(connection, worker):
    statement = await connection.prepare("select $1::int * 2 as double, $2::text as text, $3::timestamptz as at")
    assert [parameter.name for parameter in statement.get_parameters()] == ["int4", "text", "timestamptz"]
    assert [attribute.name for attribute in statement.get_attributes()] == ["double", "text", "at"]
    at = datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.timezone.utc)
    for i in range(10):
        assert tuple(await statement.fetchrow(i, f"{worker}/{i}", at)) == (i * 2, f"{worker}/{i}", at)
    await refused(asyncpg.DivisionByZeroError, connection.fetchval("select 1 / $1::int", 0))
    assert await connection.fetchval("select 12 / $1::int", 4) == 3
    await refused(asyncpg.PostgresSyntaxError, connection.prepare("selec 1"))
    await refused(asyncpg.UndefinedTableError, connection.fetch("select * from no_such_table where id = $1", 1))
    assert await statement.fetchval(worker, "after errors", at) == worker * 2


async def transactions(connection, worker):
    own = worker * ROWS
    async with connection.transaction(isolation="repeatable_read"):
        await connection.execute(f"update {TABLE} set name = 'kept' where id = $1", own)
        try:
            async with connection.transaction():
                await connection.execute(f"update {TABLE} set name = 'undone' where id = $1", own)
                await connection.execute("set local statement_timeout = '12s'")
                assert await connection.fetchval("show statement_timeout") == "12s"
                await connection.fetchval("select 1 / $1::int", 0)
        except asyncpg.DivisionByZeroError:
            pass
        assert await connection.fetchval(f"select name from {TABLE} where id = $1", own) == "kept"
        assert await connection.fetchval("show statement_timeout") == "0"
        # A cursor is a portal that is read in parts.
        assert [row["n"] async for row in connection.cursor("select n from generate_series(1, $1::int) as n", 120, prefetch=7)] == list(range(1, 121))
    assert await connection.fetchval(f"select name from {TABLE} where id = $1", own) == "kept"
    transaction = connection.transaction()
    await transaction.start()
    await refused(asyncpg.UniqueViolationError, connection.execute(f"insert into {TABLE} values ($1, 'twice')", own))
    await refused(asyncpg.InFailedSQLTransactionError, connection.fetchval("select 1"))
    await transaction.rollback()
    assert await connection.fetchval("select pg_current_xact_id_if_assigned()::text") is None


async def values(connection, worker):
    large = bytes([worker]) * 1_000_000
    assert await connection.fetchval("select $1::bytea", large) == large
    assert await connection.fetchval("select array_agg(n) from generate_series(1, $1::int) as n", 2000) == list(range(1, 2001))
    assert await connection.fetchval("select $1::text", None) is None
    assert await connection.fetchval("select $1::jsonb", '{"a": [1, null]}') == '{"a": [1, null]}'
    # A composite type is looked up by a query of the driver's own in the middle of a prepare.
    assert tuple(await connection.fetchval("select row(1, 'x')::driver_asyncpg_pair")) == (1, "x")


async def session(connection, worker):
    assert await connection.fetchval("show application_name") == f"worker {worker}"
    assert await connection.fetchval("show timezone") == f"Etc/GMT+{worker % 12}"
    assert connection.get_settings().TimeZone == f"Etc/GMT+{worker % 12}"
    # The same text is another table in each schema.
    for _ in range(3):
        assert await connection.fetchval("select whose from place") == worker % 3
    other = (worker + 1) % 3
    await connection.execute(f"set search_path = schema_{other}, public")
    assert await connection.fetchval("select whose from place") == other
    await connection.execute("reset search_path")
    assert await connection.fetchval("select whose from place") == worker % 3
    await connection.execute("set application_name = 'renamed'")
    assert await connection.fetchval("select current_setting('application_name')") == "renamed"


async def copies(connection, worker):
    base = 10_000 + worker * 100
    # Records are sent in binary; a query describes the columns before.
    assert await connection.copy_records_to_table(TABLE, records=[(base + i, f"copied {i}") for i in range(50)]) == "COPY 50"
    out = io.BytesIO()
    await connection.copy_from_query(f"select id, name from {TABLE} where id between $1 and $2 order by id", base, base + 2, output=out)
    assert out.getvalue() == "".join(f"{base + i}\tcopied {i}\n" for i in range(3)).encode()
    await refused(asyncpg.UniqueViolationError, connection.copy_records_to_table(TABLE, records=[(base + 60, "new"), (base, "twice")]))
    assert await connection.fetchval(f"select count(*) from {TABLE} where id between $1 and $2", base, base + 99) == 50


async def cancellation(connection, worker):
    # The driver's timeout is a cancel request on a connection of its own.
    await refused(asyncio.TimeoutError, connection.fetchval("select pg_sleep(30)", timeout=0.3))
    assert await connection.fetchval("select $1::int", worker) == worker
    await connection.execute("set statement_timeout = '500ms'")
    await refused(asyncpg.QueryCanceledError, connection.fetchval("select pg_sleep(30)"))
    await connection.execute("reset statement_timeout")
    assert await connection.fetchval("select $1::int", worker) == worker


async def pool():
    # Its pool resets a connection whenever it takes it back: unlock all, close all, UNLISTEN *, RESET ALL.
    async with asyncpg.create_pool(min_size=4, max_size=8, max_queries=20) as shared:
        async def one(i):
            async with shared.acquire() as connection:
                await connection.execute(f"set application_name = 'user {i}'")
                async with connection.transaction():
                    assert await connection.fetchval("select $1::int", i) == i
                assert await connection.fetchval("show application_name") == f"user {i}"
        await asyncio.gather(*(one(i) for i in range(200)))


async def notifications():
    listener, sender = await asyncpg.connect(), await asyncpg.connect()
    heard = asyncio.Queue()
    await listener.add_listener("driver_asyncpg_news", lambda connection, process, channel, payload: heard.put_nowait((channel, payload)))
    for i in range(5):
        await sender.execute("select pg_notify('driver_asyncpg_news', $1)", f"news {i}")
        assert await asyncio.wait_for(heard.get(), 20) == ("driver_asyncpg_news", f"news {i}")
        assert await listener.fetchval("select $1::int", i) == i
    await listener.reset()
    await listener.close()
    await sender.close()


async def main():
    connection = await asyncpg.connect()
    await connection.execute(f"drop table if exists {TABLE}; drop type if exists driver_asyncpg_pair")
    await connection.execute(f"create table {TABLE} (id int primary key, name text); create type driver_asyncpg_pair as (a int, b text)")
    for i in range(3):
        await connection.execute(f"drop schema if exists schema_{i} cascade; create schema schema_{i}")
        await connection.execute(f"create table schema_{i}.place as select {i} as whose")
    await asyncio.gather(*(work(worker) for worker in range(WORKERS)))
    assert await connection.fetchval(f"select count(*) from {TABLE}") == WORKERS * (ROWS + 50)
    await pool()
    await notifications()
    await connection.execute(f"drop table {TABLE}; drop type driver_asyncpg_pair; drop schema schema_0, schema_1, schema_2 cascade")
    await connection.close()
    print("asyncpg: ok")


asyncio.run(main())

"""
A workload of pg8000 (1.10, of the old school): md5 only, every statement prepared under a name, also BEGIN and COMMIT, portals of 100
rows, a socket timeout.
"""
import datetime
import decimal
import gc
import io
import os
import socket
import threading

import pg8000

TABLE = "driver_pg8000"
WORKERS = 12
ROWS = 12


def connect(**more):
    return pg8000.connect(
        user=os.environ["PGUSER"], password=os.environ["PGPASSWORD"], host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]),
        database=os.environ["PGDATABASE"], **more)


def one(connection, sql, args=None):
    cursor = connection.cursor()
    cursor.execute(sql, args)
    row = cursor.fetchone()
    cursor.close()
    return tuple(row) if row is not None else None


def refused(code, action, *args):
    try:
        action(*args)
    except pg8000.ProgrammingError as error:
        assert error.args[2] == code, error.args
        return
    raise AssertionError(f"there was no {code}")


def work(worker):
    connection = connect()
    try:
        rows(connection, worker)
        transactions(connection, worker)
        session(connection, worker)
        values(connection, worker)
        copies(connection, worker)
    finally:
        connection.close()


def rows(connection, worker):
    cursor = connection.cursor()
    for i in range(ROWS):
        number = worker * ROWS + i
        cursor.execute(f"insert into {TABLE} values (%s, %s)", (number, f"row {number}"))
        assert cursor.rowcount == 1
        assert one(connection, f"select name from {TABLE} where id = %s", (number,)) == (f"row {number}",)
        connection.commit()
    refused("23505", cursor.execute, f"insert into {TABLE} values (%s, %s)", (worker * ROWS, "twice"))
    refused("25P02", cursor.execute, "select 1")
    connection.rollback()
    refused("42601", cursor.execute, "selec 1")
    connection.rollback()
    cursor.executemany(f"update {TABLE} set name = %s where id = %s", [(f"many {i}", worker * ROWS + i) for i in range(ROWS)])
    connection.commit()
    cursor.execute(f"select name from {TABLE} where id between %s and %s order by id", (worker * ROWS, worker * ROWS + ROWS - 1))
    assert [name for name, in cursor.fetchall()] == [f"many {i}" for i in range(ROWS)]
    connection.commit()


def transactions(connection, worker):
    own = worker * ROWS
    cursor = connection.cursor()
    cursor.execute(f"update {TABLE} set name = 'kept' where id = %s", (own,))
    cursor.execute("savepoint s")
    cursor.execute(f"update {TABLE} set name = 'undone' where id = %s", (own,))
    refused("22012", cursor.execute, "select 1 / %s", (0,))
    cursor.execute("rollback to savepoint s")
    assert one(connection, f"select name from {TABLE} where id = %s", (own,)) == ("kept",)
    # More rows than one Execute asks for: the portal is suspended and taken up again, with other statements in between.
    cursor.execute("select n from generate_series(1, %s) as n", (450,))
    for expected in range(1, 451):
        assert tuple(cursor.fetchone()) == (expected,)
        if expected % 110 == 0:
            assert one(connection, "select %s::int", (expected,)) == (expected,)
    assert cursor.fetchone() is None
    connection.commit() if worker % 2 == 0 else connection.rollback()
    assert one(connection, f"select name from {TABLE} where id = %s", (own,)) == ("kept" if worker % 2 == 0 else "many 0",)
    connection.rollback()


def session(connection, worker):
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(f"set application_name = 'worker {worker}'")
    cursor.execute(f"set timezone = 'Etc/GMT+{worker}'")
    cursor.execute(f"set search_path = pg8000_{worker % 3}, public")
    for _ in range(5):
        assert one(connection, "select current_setting('application_name')") == (f"worker {worker}",)
        assert one(connection, "select current_setting('timezone')") == (f"Etc/GMT+{worker}",)
        # Prepared once, and again where the schema has changed.
        assert one(connection, "select whose from place") == (worker % 3,)
    connection.autocommit = False
    cursor.execute("set local search_path = pg8000_2, public")
    assert one(connection, "select whose from place -- local") == (2,)
    connection.rollback()
    assert one(connection, "select whose from place") == (worker % 3,)
    connection.rollback()


def values(connection, worker):
    large = bytes([worker]) * 2_000_000
    assert one(connection, "select %s::bytea", (large,)) == (large,)
    at = datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc)
    sent = (worker, 1 << 40, 2.5, "äöü", decimal.Decimal("1.10"), at, None, True)
    assert one(connection, "select %s::int, %s::bigint, %s::float8, %s::text, %s::numeric, %s::timestamptz, %s::text, %s::bool", sent) == sent
    assert one(connection, "select %s", ([1, 2, 3],)) == ([1, 2, 3],)
    connection.commit()


def copies(connection, worker):
    base = 10_000 + worker * 100
    cursor = connection.cursor()
    data = "".join(f"{base + i}\tcopied {i}\n" for i in range(50)).encode()
    cursor.execute(f"copy {TABLE} from stdin", stream=io.BytesIO(data))
    connection.commit()
    out = io.BytesIO()
    cursor.execute(f"copy (select * from {TABLE} where id between {base} and {base + 99} order by id) to stdout", stream=out)
    assert out.getvalue() == data
    refused("22P02", lambda: cursor.execute(f"copy {TABLE} from stdin", stream=io.BytesIO(b"garbage\tx\n")))
    connection.rollback()
    assert one(connection, f"select count(*) from {TABLE} where id between %s and %s", (base, base + 99)) == (50,)
    connection.commit()


def notifications(connection):
    listener = connect()
    listener.autocommit = True
    cursor = listener.cursor()
    cursor.execute("listen pg8000_news")
    cursor.execute("notify pg8000_news, 'own'")
    one(connection, "select pg_notify('pg8000_news', 'of another')")
    connection.commit()
    while len(listener.notifies) < 2:
        one(listener, "select 1")
    assert [channel for _, channel in listener.notifies] == ["pg8000_news"] * 2
    assert len({sender for sender, _ in listener.notifies}) == 2
    listener.close()


def timeout(connection):
    # The driver has no cancel request: it gives up on the socket in the middle of an answer.
    marker = "pg8000 gives up"
    impatient = connect()
    # From here on: what the login takes is another matter.
    impatient._usock.settimeout(0.3)
    try:
        one(impatient, f"select pg_sleep(60) /* {marker} */")
        raise AssertionError("the driver waited")
    except (socket.timeout, pg8000.Error):
        pass
    # It keeps the socket in bound methods of its file.
    del impatient
    gc.collect()
    running = "select count(*) from pg_stat_activity where query like %s and pid <> pg_backend_pid() and state = 'active'"
    for attempt in range(600):
        if one(connection, running, (f"%{marker}%",)) == (0,):
            break
        connection.commit()
        one(connection, "select pg_sleep(0.1)")
    else:
        raise AssertionError("the query of a client that has left goes on running")
    connection.commit()


def main():
    connection = connect()
    cursor = connection.cursor()
    cursor.execute(f"drop table if exists {TABLE}")
    cursor.execute(f"create table {TABLE} (id int primary key, name text)")
    for i in range(3):
        cursor.execute(f"drop schema if exists pg8000_{i} cascade")
        cursor.execute(f"create schema pg8000_{i}")
        cursor.execute(f"create table pg8000_{i}.place as select {i} as whose")
    connection.commit()

    failures = []

    def run(worker):
        try:
            work(worker)
        except BaseException as failure:  # shown by the main thread
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(worker,)) for worker in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]

    assert one(connection, f"select count(*) from {TABLE}") == (WORKERS * (ROWS + 50),)
    connection.commit()
    notifications(connection)
    timeout(connection)
    cursor.execute(f"drop table {TABLE}")
    for i in range(3):
        cursor.execute(f"drop schema pg8000_{i} cascade")
    connection.commit()
    connection.close()
    print("pg8000: ok")


main()

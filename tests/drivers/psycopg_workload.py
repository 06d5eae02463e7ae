"""A workload of psycopg 3: server-side prepared statements, pipelines, COPY, server cursors, notifications, cancellation."""
import threading
import time

import psycopg

TABLE = "driver_psycopg"


def work(worker):
    with psycopg.connect(autocommit=True, prepare_threshold=0) as connection:
        for i in range(20):
            number = worker * 20 + i
            connection.execute(f"insert into {TABLE} values (%s, %s)", (number, f"row {number}"))
            assert connection.execute(f"select name from {TABLE} where id = %s", (number,)).fetchone() == (f"row {number}",)
        try:
            connection.execute(f"insert into {TABLE} values (%s, 'twice')", (worker * 20,))
            raise AssertionError("a duplicate was accepted")
        except psycopg.errors.UniqueViolation:
            pass
        with connection.pipeline():
            cursors = [connection.execute("select %s::int", (i,)) for i in range(50)]
        assert [cursor.fetchone() for cursor in cursors] == [(i,) for i in range(50)]
        try:
            with connection.transaction():
                connection.execute(f"update {TABLE} set name = 'changed' where id = %s", (worker * 20,))
                raise psycopg.Rollback
        except psycopg.Rollback:
            pass
        assert connection.execute(f"select name from {TABLE} where id = %s", (worker * 20,)).fetchone() == (f"row {worker * 20}",)


def cancel_when_it_sleeps(connection):
    # A request that overtakes the statement is for nobody.
    asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and strpos(query, %s) > 0"
    with psycopg.connect(autocommit=True) as observer:
        while observer.execute(asleep, ("/* psycopg is canceled */",)).fetchone() == (0,):
            time.sleep(0.05)
    connection.cancel()


def main():
    with psycopg.connect(autocommit=True) as connection:
        connection.execute(f"drop table if exists {TABLE}")
        connection.execute(f"create table {TABLE} (id int primary key, name text)")
        failures = []

        def run(worker):
            try:
                work(worker)
            except BaseException as failure:  # shown by the main thread
                failures.append(failure)

        threads = [threading.Thread(target=run, args=(worker,)) for worker in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

        cursor = connection.cursor()
        with cursor.copy(f"copy {TABLE} from stdin") as copy:
            copy.write_row((1000, "copied"))
        with cursor.copy(f"copy (select * from {TABLE} where id = 1000) to stdout") as copy:
            assert [bytes(data) for data in copy] == [b"1000\tcopied\n"]
        try:
            with cursor.copy(f"copy {TABLE} from stdin") as copy:
                copy.write("garbage\n")
            raise AssertionError("garbage was copied")
        except psycopg.errors.DataError:
            pass
        with connection.transaction():
            with connection.cursor("server_side") as named:
                named.itersize = 50
                assert len(list(named.execute(f"select * from {TABLE}"))) == 241
        heard = []
        connection.add_notify_handler(lambda notify: heard.append(notify.payload))
        connection.execute("listen driver_news")
        connection.execute("notify driver_news, 'hello'")
        connection.execute("select 1")
        assert heard == ["hello"]
        canceling = threading.Thread(target=cancel_when_it_sleeps, args=(connection,))
        canceling.start()
        try:
            connection.execute("select pg_sleep(30) /* psycopg is canceled */")
            raise AssertionError("nothing was canceled")
        except psycopg.errors.QueryCanceled:
            pass
        canceling.join()
        connection.execute(f"drop table {TABLE}")
    print("psycopg: ok")


main()

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/**
 * A workload of the JDBC driver: statements prepared at their first use, autosave, batches, cursors by fetch size, COPY, cancellation,
 * notifications. The connection comes from PG… variables.
 */
final class JdbcWorkload {
    private static final String TABLE = "driver_jdbc";
    private static final int WORKERS = 16;
    private static final int ROWS = 20;

    interface Action {
        void run() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection connection = connect("never"); Statement statement = connection.createStatement()) {
            statement.execute("drop table if exists " + TABLE);
            statement.execute("create table " + TABLE + " (id int primary key, name text)");
            for (int i = 0; i < 3; i++) {
                // Several statements in one string are several Parses in one write.
                statement.execute("drop schema if exists jdbc_" + i + " cascade; create schema jdbc_" + i + "; create table jdbc_" + i + ".place as select " + i + " as whose");
            }

            ExecutorService threads = Executors.newFixedThreadPool(WORKERS, task -> {
                Thread thread = new Thread(task);
                thread.setDaemon(true);
                return thread;
            });
            List<Callable<Void>> work = new ArrayList<>();
            for (int i = 0; i < WORKERS; i++) {
                int worker = i;
                work.add(() -> work(worker));
            }

            for (Future<Void> done : threads.invokeAll(work, 200, TimeUnit.SECONDS)) {
                done.get();
            }

            threads.shutdown();
            equal(WORKERS * (ROWS * 2 + 200), count(connection, "true"));
            notifications(connection);
            statement.execute("drop table " + TABLE + "; drop schema jdbc_0, jdbc_1, jdbc_2 cascade");
        }

        System.out.println("jdbc: ok");
    }

    private static Connection connect(String autosave) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        properties.setProperty("prepareThreshold", "1");
        properties.setProperty("readOnlyMode", "always");
        properties.setProperty("autosave", autosave);
        properties.setProperty("ApplicationName", "jdbc " + autosave);
        return DriverManager.getConnection(
            "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE"), properties);
    }

    private static Void work(int worker) throws Exception {
        try (Connection connection = connect(worker % 2 == 0 ? "always" : "conservative")) {
            rows(connection, worker);
            batches(connection, worker);
            transactions(connection, worker);
            session(connection, worker);
            values(connection, worker);
            copies(connection, worker);
            if (worker < 5) {
                cancellation(connection, worker);
            }
        }

        return null;
    }

    private static void rows(Connection connection, int worker) throws Exception {
        try (PreparedStatement insert = connection.prepareStatement("insert into " + TABLE + " values (?, ?)");
            PreparedStatement find = connection.prepareStatement("select name from " + TABLE + " where id = ?")) {
            for (int i = 0; i < ROWS; i++) {
                insert.setInt(1, worker * ROWS + i);
                insert.setString(2, "row " + i);
                equal(1, insert.executeUpdate());
                find.setInt(1, worker * ROWS + i);
                equal("row " + i, only(find));
            }

            insert.setInt(1, worker * ROWS);
            refused("23505", insert::executeUpdate);
            equal("row " + (ROWS - 1), only(find));
        }

        refused("42601", () -> connection.prepareStatement("selec 1").execute());
    }

    private static void batches(Connection connection, int worker) throws Exception {
        int base = 10_000 + worker * ROWS;
        try (PreparedStatement insert = connection.prepareStatement("insert into " + TABLE + " values (?, ?)")) {
            for (int i = 0; i < ROWS; i++) {
                insert.setInt(1, base + i);
                insert.setString(2, "batched " + i);
                insert.addBatch();
            }

            int[] expected = new int[ROWS];
            Arrays.fill(expected, 1);
            equal(true, Arrays.equals(expected, insert.executeBatch()));

            for (int id : new int[] {base + 100_000, base, base + 200_000}) {
                insert.setInt(1, id);
                insert.setString(2, "undone");
                insert.addBatch();
            }

            connection.setAutoCommit(false);
            refused("23505", insert::executeBatch);
            connection.rollback();
            connection.setAutoCommit(true);
            equal(0, count(connection, "name = 'undone' and id in (" + (base + 100_000) + ", " + (base + 200_000) + ")"));
        }

        try (Statement statement = connection.createStatement()) {
            for (int i = 0; i < 30; i++) {
                statement.addBatch("update " + TABLE + " set name = 'mixed' where id = " + (base + i % ROWS));
            }

            equal(30, statement.executeBatch().length);
        }

        try (PreparedStatement keys = connection.prepareStatement("update " + TABLE + " set name = 'returned' where id = ?", new String[] {"id"})) {
            keys.setInt(1, base);
            keys.executeUpdate();
            try (ResultSet generated = keys.getGeneratedKeys()) {
                equal(true, generated.next());
                equal(base, generated.getInt(1));
            }
        }
    }

    private static void transactions(Connection connection, int worker) throws Exception {
        connection.setAutoCommit(false);
        connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        try (Statement statement = connection.createStatement()) {
            equal(1, statement.executeUpdate("update " + TABLE + " set name = 'kept' where id = " + worker * ROWS));
            Savepoint savepoint = connection.setSavepoint("own");
            statement.executeUpdate("update " + TABLE + " set name = 'undone' where id = " + worker * ROWS);
            connection.rollback(savepoint);

            // With autosave the driver goes back to its own savepoint, and the transaction goes on.
            refused("22012", () -> statement.executeQuery("select 1 / 0"));
            if (worker % 2 == 1) {
                refused("25P02", () -> statement.executeQuery("select 1"));
                connection.rollback(savepoint);
            }

            equal("kept", only(connection, "select name from " + TABLE + " where id = " + worker * ROWS));

            // The fetch size makes it a portal that is read in parts, while others run.
            statement.setFetchSize(37);
            int seen = 0;
            try (ResultSet all = statement.executeQuery("select n from generate_series(1, 500) as n")) {
                while (all.next()) {
                    equal(++seen, all.getInt(1));
                    if (seen % 100 == 0) {
                        equal("" + seen, only(connection, "select " + seen));
                    }
                }
            }

            equal(500, seen);
            if (worker % 4 < 2) {
                connection.commit();
            } else {
                connection.rollback();
            }

            equal(worker % 4 < 2 ? "kept" : "row 0", only(connection, "select name from " + TABLE + " where id = " + worker * ROWS));
            connection.commit();
        }

        connection.setAutoCommit(true);
        equal("repeatable read", only(connection, "show transaction_isolation"));
        connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
    }

    private static void session(Connection connection, int worker) throws Exception {
        equal("jdbc " + (worker % 2 == 0 ? "always" : "conservative"), only(connection, "show application_name"));
        connection.setClientInfo("ApplicationName", "worker " + worker);
        try (PreparedStatement place = connection.prepareStatement("select whose from place")) {
            for (int i = 0; i < 6; i++) {
                connection.setSchema("jdbc_" + (worker + i) % 3);
                equal("" + (worker + i) % 3, only(place));
                equal("worker " + worker, only(connection, "show application_name"));
            }
        }

        connection.setSchema("public");
        connection.setReadOnly(true);
        refused("25006", () -> connection.createStatement().executeUpdate("update " + TABLE + " set name = 'never'"));
        connection.setReadOnly(false);
    }

    private static void values(Connection connection, int worker) throws Exception {
        byte[] large = new byte[2_000_000];
        Arrays.fill(large, (byte) worker);
        try (PreparedStatement echo = connection.prepareStatement("select ?::bytea, ?::text, ?::numeric, ?::int[], ?::text")) {
            for (int i = 0; i < 2; i++) {
                echo.setBytes(1, large);
                echo.setString(2, "äöü \u20ac");
                echo.setBigDecimal(3, new java.math.BigDecimal("12345678901234567890.123"));
                echo.setArray(4, connection.createArrayOf("int4", new Integer[] {1, 2, worker}));
                echo.setNull(5, java.sql.Types.VARCHAR);
                try (ResultSet row = echo.executeQuery()) {
                    equal(true, row.next());
                    equal(true, Arrays.equals(large, row.getBytes(1)));
                    equal("äöü \u20ac", row.getString(2));
                    equal("12345678901234567890.123", row.getBigDecimal(3).toString());
                    equal(Arrays.asList(1, 2, worker), Arrays.asList((Integer[]) row.getArray(4).getArray()));
                    equal(null, row.getString(5));
                }
            }
        }
    }

    private static void copies(Connection connection, int worker) throws Exception {
        int base = 1_000_000 + worker * 1000;
        StringBuilder data = new StringBuilder();
        for (int i = 0; i < 200; i++) {
            data.append(base + i).append("\tcopied\n");
        }

        byte[] bytes = data.toString().getBytes(StandardCharsets.UTF_8);
        var copy = connection.unwrap(PGConnection.class).getCopyAPI();
        equal(200L, copy.copyIn("copy " + TABLE + " from stdin", new ByteArrayInputStream(bytes)));
        refused("23505", () -> copy.copyIn("copy " + TABLE + " from stdin", new ByteArrayInputStream(bytes)));
        var abandoned = copy.copyIn("copy " + TABLE + " from stdin");
        abandoned.writeToCopy(bytes, 0, 10);
        abandoned.cancelCopy();
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        copy.copyOut("copy (select * from " + TABLE + " where id between " + base + " and " + (base + 999) + " order by id) to stdout", out);
        equal(data.toString(), out.toString(StandardCharsets.UTF_8));
    }

    private static void cancellation(Connection connection, int worker) throws Exception {
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            refused("57014", () -> statement.executeQuery("select pg_sleep(30)"));
            statement.setQueryTimeout(0);
            equal("" + worker, only(connection, "select " + worker));
        }
    }

    private static void notifications(Connection sender) throws Exception {
        try (Connection listener = connect("never"); Statement listen = listener.createStatement(); Statement notify = sender.createStatement()) {
            listen.execute("listen jdbc_news");
            for (int i = 0; i < 3; i++) {
                notify.execute("notify jdbc_news, 'news " + i + "'");
                PGNotification[] heard = listener.unwrap(PGConnection.class).getNotifications(20_000);
                equal(1, heard.length);
                equal("news " + i, heard[0].getParameter());
                equal("" + i, only(listener, "select " + i));
            }
        }
    }

    private static int count(Connection connection, String condition) throws SQLException {
        return Integer.parseInt(only(connection, "select count(*) from " + TABLE + " where " + condition));
    }

    private static String only(Connection connection, String sql) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            return only(statement);
        }
    }

    private static String only(PreparedStatement statement) throws SQLException {
        try (ResultSet rows = statement.executeQuery()) {
            equal(true, rows.next());
            String value = rows.getString(1);
            equal(false, rows.next());
            return value;
        }
    }

    private static void refused(String code, Action action) throws Exception {
        try {
            action.run();
        } catch (BatchUpdateException refused) {
            equal(code, refused.getNextException() == null ? refused.getSQLState() : ((SQLException) refused.getNextException()).getSQLState());
            return;
        } catch (SQLException refused) {
            equal(code, refused.getSQLState());
            return;
        }

        throw new AssertionError("there was no " + code);
    }

    private static void equal(Object expected, Object actual) {
        if (!java.util.Objects.equals(expected, actual)) {
            throw new AssertionError("expected " + expected + ", but there was " + actual);
        }
    }
}

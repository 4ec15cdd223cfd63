/* store_test - opening, grades, rows, cursors, full maps, readers, and what may never mix. */
#include "tests/unit/failmalloc.h"
#include "tests/unit/shm/store_fixture.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct str key_of(unsigned n, unsigned char buf[8])
{
    key_u64(buf, n);
    return str_make(buf, 8);
}

static void put(struct fixture *f, unsigned n, const char *value)
{
    unsigned char key[8];
    assert_int_equal(txn_put(f->txn, DB_NAME, key_of(n, key), str_of(value)), 0);
}

static void test_files_and_modes(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    char path[128];
    snprintf(path, sizeof(path), "%s/data.mdb", f->path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void test_rows(void **state)
{
    struct fixture *f = *state;
    unsigned char key[8];
    struct str v;
    void *at;
    fixture_write(f);
    put(f, 1, "one");
    assert_int_equal(txn_put_new(f->txn, DB_NAME, key_of(1, key), STR("uno")), -EEXIST);
    assert_int_equal(txn_reserve(f->txn, DB_NAME, key_of(2, key), 3, &at), 0);
    memcpy(at, "two", 3);
    assert_int_equal(txn_get(f->txn, DB_NAME, key_of(2, key), &v), 0);
    assert_true(str_is(v, "two"));
    assert_int_equal(txn_entries(f->txn, DB_NAME), 2);
    assert_int_equal(txn_del(f->txn, DB_NAME, key_of(3, key)), -ENOENT);
    assert_int_equal(txn_del(f->txn, DB_NAME, key_of(1, key)), 0);
    assert_int_equal(txn_get(f->txn, DB_NAME, key_of(1, key), &v), -ENOENT);
    fixture_commit(f);
    struct txn *t = fixture_read(f);
    assert_int_equal(txn_get(t, DB_NAME, key_of(2, key), &v), 0);
    assert_true(str_is(v, "two"));
}

static void test_abort_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    unsigned char key[8];
    struct str v;
    fixture_write(f);
    put(f, 1, "one");
    fixture_abort(f);
    fixture_write(f);
    assert_int_equal(txn_get(f->txn, DB_NAME, key_of(1, key), &v), -ENOENT);
}

/* A reader keeps its snapshot, and sees the next one after it has been renewed. */
static void test_snapshot(void **state)
{
    struct fixture *f = *state;
    unsigned char key[8];
    struct row row;
    struct str v;
    struct txn *t = fixture_read(f);
    assert_int_equal(txn_seek(t, DB_NAME, str_make(NULL, 0), &row), -ENOENT);
    fixture_write(f);
    put(f, 1, "one");
    fixture_commit(f);
    assert_int_equal(txn_get(t, DB_NAME, key_of(1, key), &v), -ENOENT);
    fixture_read_done(f);
    t = fixture_read(f);
    assert_int_equal(txn_seek(t, DB_NAME, str_make(NULL, 0), &row), 0);
    assert_true(str_is(row.value, "one"));
}

static void test_cursor(void **state)
{
    struct fixture *f = *state;
    unsigned char key[8];
    struct row row;
    fixture_write(f);
    for (unsigned i = 1; i <= 9; i++)
        put(f, i * 10, "v");
    assert_int_equal(txn_seek(f->txn, DB_NAME, key_of(45, key), &row), 0);
    assert_int_equal(key_u64_get(row.key.p), 50);
    assert_int_equal(txn_prev(f->txn, DB_NAME, &row), 0);
    assert_int_equal(key_u64_get(row.key.p), 40);
    assert_int_equal(txn_last(f->txn, DB_NAME, &row), 0);
    assert_int_equal(key_u64_get(row.key.p), 90);
    assert_int_equal(txn_next(f->txn, DB_NAME, &row), -ENOENT);
    assert_int_equal(txn_seek(f->txn, DB_NAME, key_of(91, key), &row), -ENOENT);
}

/* Deleting while walking: over pages that merge, with other writes between. */
static void test_delete_while_walking(void **state)
{
    struct fixture *f = *state;
    char value[200];
    struct row row;
    unsigned seen = 0;
    memset(value, 'v', sizeof(value));
    value[sizeof(value) - 1] = '\0';
    fixture_write(f);
    for (unsigned i = 0; i < 3000; i++)
        put(f, i * 2, value);
    int rc = txn_seek(f->txn, DB_NAME, str_make(NULL, 0), &row);
    for (unsigned i = 0; rc == 0; i++, seen++) {
        assert_int_equal(key_u64_get(row.key.p), i * 2);
        if (i % 7 != 0)
            assert_int_equal(txn_del_row(f->txn, DB_NAME), 0);
        if (i % 5 == 0)
            put(f, 100000 + i, "other");
        rc = i == 2999 ? -ENOENT : txn_next(f->txn, DB_NAME, &row);
    }
    assert_int_equal(seen, 3000);
    assert_int_equal(txn_entries(f->txn, DB_NAME), 429 + 600);
    fixture_commit(f);
}

static void test_full_map(void **state)
{
    struct fixture *f = *state;
    struct store_usage before, after;
    unsigned char key[8];
    static char big[60000];
    unsigned n = 0;
    int rc = 0;
    fixture_write(f);
    put(f, 1, "kept");
    fixture_commit(f);
    fixture_write(f);
    assert_int_equal(txn_usage(f->txn, &before), 0);
    for (; rc == 0; n++)
        rc = txn_put(f->txn, DB_NAME, key_of(100 + n, key), str_make(big, sizeof(big)));
    assert_int_equal(rc, -ENOSPC);
    fixture_abort(f);
    fixture_write(f);
    put(f, 2, "fits again");
    assert_int_equal(txn_usage(f->txn, &after), 0);
    assert_int_equal(after.limit, FIXTURE_MAP);
    assert_true(before.used > 0 && before.used <= before.file && before.file < before.limit);
    fixture_commit(f);
}

static void test_usage_counts(void **state)
{
    struct fixture *f = *state;
    struct store_usage before, after;
    unsigned char key[8];
    static char big[100000];
    fixture_write(f);
    assert_int_equal(txn_usage(f->txn, &before), 0);
    assert_int_equal(txn_put(f->txn, DB_NAME, key_of(1, key), str_make(big, sizeof(big))), 0);
    fixture_commit(f);
    fixture_write(f);
    assert_int_equal(txn_usage(f->txn, &after), 0);
    assert_true(after.used >= before.used + sizeof(big));
    assert_true(after.used < before.used + sizeof(big) + 5 * 4096);
}

static void test_newer_schema(void **state)
{
    struct fixture *f = *state;
    f->meta.schema = META_SCHEMA + 1;
    fixture_write(f);
    fixture_commit(f);
    store_close(f->store);
    f->store = NULL;
    struct store_options o = {.path = f->path,
                              .map_size = FIXTURE_MAP,
                              .memory = true,
                              .mode = STORE_WRITER,
                              .max_readers = 20};
    assert_int_equal(store_open(&o, &f->store), -EEXIST);
    o.mode = STORE_READER;
    assert_int_equal(store_open(&o, &f->store), -EEXIST);
    assert_null(f->store);
}

static void test_memory_needs_tmpfs(void **state)
{
    (void)state;
    char path[] = "/var/tmp/restante-unit.XXXXXX";
    struct store *s = NULL;
    struct store_options o = {.path = path,
                              .map_size = FIXTURE_MAP,
                              .memory = true,
                              .mode = STORE_WRITER,
                              .max_readers = 20};
    assert_non_null(mkdtemp(path));
    assert_int_equal(store_open(&o, &s), -ENOTSUP);
    o.memory = false;
    assert_int_equal(store_open(&o, &s), 0);
    store_close(s);
    fixture_remove(path);
    o.path = "/dev/shm/restante-unit-large";
    o.memory = true;
    o.map_size = 1ull << 50; /* no machine has it */
    assert_int_equal(store_open(&o, &s), -ENOTSUP);
    fixture_remove(o.path);
}

static void test_directory(void **state)
{
    (void)state;
    struct store *s = NULL;
    struct store_options o = {.path = "/dev/shm/restante-unit-none/below",
                              .map_size = FIXTURE_MAP,
                              .mode = STORE_WRITER,
                              .max_readers = 20};
    assert_int_equal(store_open(&o, &s), -ENOENT);
    o.path = "/proc/version";
    assert_int_equal(store_open(&o, &s), -ENOTDIR);
    o.path = "/dev/shm/restante-unit-none";
    o.mode = STORE_READER;
    assert_int_equal(store_open(&o, &s), -ENOENT);
    assert_null(s);
}

/* Another process reads what this one wrote, and its death leaves a slot that is cleared. */
static void test_reader_process(void **state)
{
    struct fixture *f = *state;
    unsigned char key[8];
    int ready[2], status;
    char c;
    assert_int_equal(pipe(ready), 0);
    fixture_write(f);
    put(f, 7, "seven");
    fixture_commit(f);
    store_close(f->store); /* an environment never crosses a fork */
    pid_t pid = fork();
    if (pid == 0) {
        struct store_options o = {.path = f->path,
                                  .map_size = FIXTURE_MAP,
                                  .mode = STORE_READER,
                                  .max_readers = STORE_READERS(1)};
        struct store *s;
        struct txn *t;
        struct str v;
        bool ok = store_open(&o, &s) == 0 && store_read(s, &t) == 0 &&
                  txn_get(t, DB_NAME, key_of(7, key), &v) == 0 && str_is(v, "seven");
        c = ok ? 'y' : 'n';
        (void)!write(ready[1], &c, 1);
        pause(); /* holding its slot */
        _exit(0);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(c, 'y');
    fixture_open(f);
    assert_int_equal(store_reader_check(f->store), 0);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(store_reader_check(f->store), 1);
    close(ready[0]);
    close(ready[1]);
}

static void test_copy(void **state)
{
    struct fixture *f = *state;
    char path[] = "/dev/shm/restante-unit.XXXXXX", file[128];
    unsigned char key[8];
    struct store *s;
    struct txn *t;
    struct str v;
    fixture_write(f);
    put(f, 7, "seven");
    fixture_commit(f);
    assert_non_null(mkdtemp(path));
    snprintf(file, sizeof(file), "%s/data.mdb", path);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    assert_int_equal(store_copy(f->store, fileno(out)), 0);
    fclose(out);
    struct store_options o = {.path = path, .mode = STORE_READER, .max_readers = 20};
    assert_int_equal(store_open(&o, &s), 0);
    assert_int_equal(store_read(s, &t), 0);
    assert_int_equal(txn_get(t, DB_NAME, key_of(7, key), &v), 0);
    assert_true(str_is(v, "seven"));
    txn_done(t);
    store_close(s);
    fixture_remove(path);
}

static void test_seat(void **state)
{
    struct fixture *f = *state;
    struct board_seat seat = {0};
    struct txn *t;
    store_close(f->store);
    struct store_options o = {.path = f->path,
                              .map_size = FIXTURE_MAP,
                              .mode = STORE_WRITER,
                              .max_readers = 20,
                              .seat = &seat};
    assert_int_equal(store_open(&o, &f->store), 0);
    assert_int_equal(atomic_load(&seat.txn_since_ms), 0);
    assert_int_equal(store_read(f->store, &t), 0);
    assert_int_not_equal(atomic_load(&seat.txn_since_ms), 0);
    txn_done(t);
    assert_int_equal(atomic_load(&seat.txn_since_ms), 0);
    fixture_write(f);
    assert_int_not_equal(atomic_load(&seat.txn_since_ms), 0);
    fixture_commit(f);
    assert_int_equal(atomic_load(&seat.txn_since_ms), 0);
    assert_int_equal(atomic_load(&seat.sync_since_ms), 0);
}

static int open_and_close(void *arg)
{
    struct fixture *f = arg;
    struct store *s;
    struct store_options o = {.path = f->path,
                              .map_size = FIXTURE_MAP,
                              .memory = true,
                              .mode = STORE_WRITER,
                              .max_readers = 20};
    int rc = store_open(&o, &s);
    if (rc == 0)
        store_close(s);
    return rc;
}

static void test_no_memory(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    f->store = NULL;
    assert_true(failmalloc_each(open_and_close, f) >= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_files_and_modes),
        fixture_test(test_rows),
        fixture_test(test_abort_leaves_nothing),
        fixture_test(test_snapshot),
        fixture_test(test_cursor),
        fixture_test(test_delete_while_walking),
        fixture_test(test_full_map),
        fixture_test(test_usage_counts),
        fixture_test(test_newer_schema),
        cmocka_unit_test(test_memory_needs_tmpfs),
        cmocka_unit_test(test_directory),
        fixture_test(test_reader_process),
        fixture_test(test_copy),
        fixture_test(test_seat),
        fixture_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

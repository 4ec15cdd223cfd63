/* store_test - opening, grades, full maps, readers of other processes, copies. */
#include "tests/unit/failmalloc.h"
#include "tests/unit/shm/store_fixture.h"

#include "shm/store_priv.h"

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

/* As a program that knew of one table only; returns how many tables there were already. */
static size_t write_older(const char *path)
{
    unsigned char state[7 * 8 + 4] = {META_SCHEMA - 1};
    MDB_val key = {.mv_size = 5, .mv_data = (char[]){"state"}};
    MDB_val value = {.mv_size = sizeof(state), .mv_data = state};
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi meta;
    MDB_stat tables;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, DB_COUNT), 0);
    assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_stat(txn, 1, &tables), 0);
    assert_int_equal(mdb_dbi_open(txn, "meta", MDB_CREATE, &meta), 0);
    assert_int_equal(mdb_put(txn, meta, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    return tables.ms_entries;
}

/* Told to be of another schema, not to be missing for want of the tables that came later; and it
 * gets none of them. */
static void test_older_schema(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    f->store = NULL;
    fixture_remove(f->path);
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_int_equal(write_older(f->path), 0);
    struct store_options o = {.path = f->path,
                              .map_size = FIXTURE_MAP,
                              .memory = true,
                              .mode = STORE_READER,
                              .max_readers = 20};
    assert_int_equal(store_open(&o, &f->store), -EEXIST);
    o.mode = STORE_WRITER;
    assert_int_equal(store_open(&o, &f->store), -EEXIST);
    assert_null(f->store);
    assert_int_equal(write_older(f->path), 1);
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
        fixture_test(test_full_map),
        fixture_test(test_usage_counts),
        fixture_test(test_newer_schema),
        fixture_test(test_older_schema),
        cmocka_unit_test(test_memory_needs_tmpfs),
        cmocka_unit_test(test_directory),
        fixture_test(test_reader_process),
        fixture_test(test_copy),
        fixture_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

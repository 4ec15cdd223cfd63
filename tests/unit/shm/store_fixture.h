/* store_fixture - a store of its own for each test, on tmpfs, and short ways to use it. */
#ifndef TESTS_STORE_FIXTURE_H
#define TESTS_STORE_FIXTURE_H

#include "shm/meta.h"
#include "shm/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXTURE_MAP (64u << 20)

struct fixture {
    char path[64];
    struct store *store;
    struct meta meta;
    struct txn *txn;     /* the open write transaction, or NULL */
    struct txn *reading; /* the open read transaction, or NULL */
    uint64_t now_ms;
    unsigned budget;
};

static inline void fixture_open(struct fixture *f)
{
    struct store_options o = {.path = f->path,
                              .map_size = FIXTURE_MAP,
                              .memory = true,
                              .mode = STORE_WRITER,
                              .max_readers = STORE_READERS(1)};
    assert_int_equal(store_open(&o, &f->store), 0);
}

static inline void fixture_write(struct fixture *f)
{
    assert_null(f->txn);
    assert_int_equal(store_write(f->store, &f->txn), 0);
}

static inline void fixture_commit(struct fixture *f)
{
    f->meta.batch++;
    f->meta.time_ms = f->now_ms;
    assert_int_equal(meta_put(f->txn, &f->meta), 0);
    assert_int_equal(txn_commit(f->txn), 0);
    f->txn = NULL;
}

static inline void fixture_abort(struct fixture *f)
{
    txn_done(f->txn);
    f->txn = NULL;
}

static inline struct txn *fixture_read(struct fixture *f)
{
    assert_int_equal(store_read(f->store, &f->reading), 0);
    return f->reading;
}

static inline void fixture_read_done(struct fixture *f)
{
    txn_done(f->reading);
    f->reading = NULL;
}

static inline void fixture_remove(const char *path)
{
    char file[512];
    DIR *d = opendir(path);
    if (!d)
        return;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
        unlink(file);
    }
    closedir(d);
    rmdir(path);
}

/* cmocka setup: a store with a meta row and no open transaction. */
static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    strcpy(f->path, "/dev/shm/restante-unit.XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->meta = (struct meta){.schema = META_SCHEMA, .epoch = 0x1234, .slots = 2};
    f->now_ms = 1000000;
    f->budget = 512;
    fixture_open(f);
    fixture_write(f);
    fixture_commit(f);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    if (f->txn)
        fixture_abort(f);
    if (f->reading)
        fixture_read_done(f);
    store_close(f->store);
    fixture_remove(f->path);
    free(f);
    return 0;
}

#define fixture_test(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

#endif

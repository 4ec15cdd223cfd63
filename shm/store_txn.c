/* store_txn - transactions, rows and cursors.
 *
 * A process has at most one read transaction (renewed, never re-allocated) and, in the writer, one
 * write transaction. Both are noted on the process's seat, so that the supervisor can tell a hung
 * transaction from an idle process, and an fsync from a hang.
 */
#include <errno.h>

#include "common/clock.h"
#include "common/log.h"

#include "shm/store_priv.h"

static MDB_val to_val(struct str s)
{
    return (MDB_val){.mv_size = s.n, .mv_data = (void *)(uintptr_t)s.p};
}

static struct str from_val(MDB_val v)
{
    return str_make(v.mv_data, v.mv_size);
}

static void note_begin(struct txn *t)
{
    t->open = true;
    if (t->store->options.seat)
        seat_txn_begin(t->store->options.seat);
}

static void note_end(struct txn *t)
{
    t->open = false;
    if (t->store->options.seat)
        seat_txn_end(t->store->options.seat);
}

/* LMDB frees a write transaction's cursors with it. */
static void forget_cursors(struct txn *t)
{
    memset(t->cursor, 0, sizeof(t->cursor));
    memset(t->point, 0, sizeof(t->point));
    memset(t->deleted, 0, sizeof(t->deleted));
}

static int begin_read(struct txn *t)
{
    if (t->mdb)
        return mdb_txn_renew(t->mdb);
    return mdb_txn_begin(t->store->env, NULL, MDB_RDONLY, &t->mdb);
}

int store_read(struct store *s, struct txn **ret)
{
    struct txn *t = &s->reader;
    must(!t->open);
    note_begin(t);
    int rc = begin_read(t);
    if (rc == MDB_MAP_RESIZED) {
        /* The writer was restarted with a larger map; nothing of ours points into the old one. */
        rc = mdb_env_set_mapsize(s->env, 0);
        if (rc == 0)
            rc = begin_read(t);
    }
    if (rc != 0) {
        note_end(t);
        return store_error(rc);
    }
    memset(t->renewed, 0, sizeof(t->renewed));
    memset(t->deleted, 0, sizeof(t->deleted));
    *ret = t;
    return 0;
}

int store_write(struct store *s, struct txn **ret)
{
    struct txn *t = &s->writer;
    must(s->options.mode == STORE_WRITER && !t->open);
    note_begin(t);
    int rc = mdb_txn_begin(s->env, NULL, 0, &t->mdb);
    if (rc != 0) {
        t->mdb = NULL;
        note_end(t);
        return store_error(rc);
    }
    *ret = t;
    return 0;
}

void txn_done(struct txn *t)
{
    must(t->open);
    if (t->write) {
        mdb_txn_abort(t->mdb);
        t->mdb = NULL;
        forget_cursors(t);
    } else {
        mdb_txn_reset(t->mdb);
    }
    note_end(t);
}

int txn_commit(struct txn *t)
{
    must(t->open && t->write);
    struct board_seat *seat = t->store->options.memory ? NULL : t->store->options.seat;
    if (seat)
        atomic_store(&seat->sync_since_ms, clock_boot_ms());
    int rc = mdb_txn_commit(t->mdb);
    if (seat)
        atomic_store(&seat->sync_since_ms, 0);
    t->mdb = NULL;
    forget_cursors(t);
    note_end(t);
    return store_error(rc);
}

static int point_of(struct txn *t, enum store_db db, MDB_cursor **ret)
{
    if (!t->point[db]) {
        int rc = mdb_cursor_open(t->mdb, t->store->dbi[db], &t->point[db]);
        if (rc != 0)
            return rc;
    }
    *ret = t->point[db];
    return 0;
}

/* After a delete a cursor may stand on a page that was merged away; a new one starts at the root.
 */
static void forget_point(struct txn *t, enum store_db db)
{
    if (t->point[db])
        mdb_cursor_close(t->point[db]);
    t->point[db] = NULL;
}

int txn_get(struct txn *t, enum store_db db, struct str key, struct str *ret)
{
    MDB_val k = to_val(key), v;
    MDB_cursor *c = NULL;
    int rc = t->write ? point_of(t, db, &c) : 0;
    if (rc == 0)
        rc =
            c ? mdb_cursor_get(c, &k, &v, MDB_SET_KEY) : mdb_get(t->mdb, t->store->dbi[db], &k, &v);
    if (rc != 0)
        return store_error(rc);
    *ret = from_val(v);
    return 0;
}

static int put(struct txn *t, enum store_db db, struct str key, MDB_val *value, unsigned flags)
{
    MDB_val k = to_val(key);
    MDB_cursor *c;
    int rc = point_of(t, db, &c);
    if (rc == 0)
        rc = mdb_cursor_put(c, &k, value, flags);
    return store_error(rc);
}

int txn_put(struct txn *t, enum store_db db, struct str key, struct str value)
{
    MDB_val v = to_val(value);
    return put(t, db, key, &v, 0);
}

int txn_put_new(struct txn *t, enum store_db db, struct str key, struct str value)
{
    MDB_val v = to_val(value);
    return put(t, db, key, &v, MDB_NOOVERWRITE);
}

int txn_reserve(struct txn *t, enum store_db db, struct str key, size_t n, void **ret)
{
    MDB_val v = {.mv_size = n};
    int rc = put(t, db, key, &v, MDB_RESERVE);
    if (rc == 0)
        *ret = v.mv_data;
    return rc;
}

int txn_del(struct txn *t, enum store_db db, struct str key)
{
    MDB_val k = to_val(key);
    forget_point(t, db);
    return store_error(mdb_del(t->mdb, t->store->dbi[db], &k, NULL));
}

uint64_t txn_entries(struct txn *t, enum store_db db)
{
    MDB_stat st;
    int rc = mdb_stat(t->mdb, t->store->dbi[db], &st);
    must(rc == 0); /* fails only for a handle that is none */
    return st.ms_entries;
}

static int cursor_of(struct txn *t, enum store_db db, MDB_cursor **ret)
{
    int rc = 0;
    if (!t->cursor[db])
        rc = mdb_cursor_open(t->mdb, t->store->dbi[db], &t->cursor[db]);
    else if (!t->write && !t->renewed[db])
        rc = mdb_cursor_renew(t->mdb, t->cursor[db]);
    if (rc != 0)
        return store_error(rc);
    t->renewed[db] = true;
    *ret = t->cursor[db];
    return 0;
}

static int move(struct txn *t, enum store_db db, MDB_val k, MDB_cursor_op op, struct row *ret)
{
    MDB_cursor *c = NULL;
    MDB_val v;
    int rc = cursor_of(t, db, &c);
    if (rc < 0)
        return rc;
    t->deleted[db] = false;
    rc = mdb_cursor_get(c, &k, &v, op);
    if (rc != 0)
        return store_error(rc);
    ret->key = from_val(k);
    ret->value = from_val(v);
    return 0;
}

int txn_seek(struct txn *t, enum store_db db, struct str key, struct row *ret)
{
    /* LMDB takes no empty key; everything is at or after the first row. */
    return move(t, db, to_val(key), key.n == 0 ? MDB_FIRST : MDB_SET_RANGE, ret);
}

int txn_next(struct txn *t, enum store_db db, struct row *ret)
{
    /* Where LMDB leaves a cursor after a delete depends on how its pages were merged; the key of
     * what was deleted is sure. */
    if (t->deleted[db]) {
        MDB_val k = {.mv_size = t->deleted_len[db], .mv_data = t->deleted_key[db]};
        return move(t, db, k, MDB_SET_RANGE, ret);
    }
    return move(t, db, (MDB_val){0}, MDB_NEXT, ret);
}

int txn_prev(struct txn *t, enum store_db db, struct row *ret)
{
    must(!t->deleted[db]);
    return move(t, db, (MDB_val){0}, MDB_PREV, ret);
}

int txn_last(struct txn *t, enum store_db db, struct row *ret)
{
    return move(t, db, (MDB_val){0}, MDB_LAST, ret);
}

int txn_del_row(struct txn *t, enum store_db db)
{
    MDB_cursor *c = t->cursor[db];
    MDB_val k, v;
    must(c && !t->deleted[db]);
    int rc = mdb_cursor_get(c, &k, &v, MDB_GET_CURRENT);
    if (rc != 0)
        return store_error(rc);
    must(k.mv_size <= sizeof(t->deleted_key[db]));
    memcpy(t->deleted_key[db], k.mv_data, k.mv_size);
    t->deleted_len[db] = k.mv_size;
    forget_point(t, db);
    rc = mdb_cursor_del(c, 0);
    t->deleted[db] = rc == 0;
    return store_error(rc);
}

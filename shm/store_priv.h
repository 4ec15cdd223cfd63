/* store_priv - what store.c and store_txn.c share. Nobody else includes it. */
#ifndef SHM_STORE_PRIV_H
#define SHM_STORE_PRIV_H

#include "shm/store.h"

#include <lmdb.h>

struct txn {
    struct store *store;
    MDB_txn *mdb; /* a read transaction's handle is kept and renewed; a write one's is not */
    bool open;
    bool write;
    MDB_cursor *cursor[DB_COUNT]; /* opened at first use */
    /* Write: where get and put go. What one message touches lies on one page, and a cursor that
     * stands there need not come down the tree for each row. */
    MDB_cursor *point[DB_COUNT];
    bool renewed[DB_COUNT]; /* read: the cursor belongs to this transaction already */
    /* The placed row was deleted: its key, from which the next one is sought. */
    bool deleted[DB_COUNT];
    unsigned char deleted_key[DB_COUNT][64];
    size_t deleted_len[DB_COUNT];
};

struct store {
    MDB_env *env;
    MDB_dbi dbi[DB_COUNT];
    struct store_options options;
    char *path;
    struct txn reader, writer;
};

/* LMDB's result as 0 or the negative errno of store.h. */
int store_error(int rc);

#endif

/* store - the LMDB environment: store.c and store_txn.c are the only files that include lmdb.h.
 *
 * Caveats (lmdb.h, reference measurements): an environment is opened after exec and never crosses a
 * fork. The writer is the only process that opens it for writing; it creates the file and the DBIs
 * and reports ready before any worker opens. A worker opens read-only, keeps ONE read transaction
 * and renews it; none outlives a loop turn, since a held one makes the file grow. Values handed out
 * are const, belong to the map and are valid until the transaction ends or, in a write transaction,
 * until its next write: copy out. Keys are at most 511 bytes.
 *
 * Errors of all calls: -ENOENT no such row; -ENOSPC map or disk full; -EIO (also what a full disk
 * gives in a commit); -EUCLEAN inconsistent page or row (a reader ends, begins again and retries
 * once); -EAGAIN no reader slot left; -ENOMEM; -EINVAL our bug. After any error but -ENOENT and
 * -EEXIST in a write transaction, abort it.
 */
#ifndef SHM_STORE_H
#define SHM_STORE_H

#include "common/str.h"
#include "shm/board.h"

#include <stdint.h>

enum store_db {
    DB_LOG,      /* stream 8 + seq 8 -> message; STREAM_HEAD_SEQ -> the stream's head */
    DB_NAME,     /* 't' + name of a topic -> stream 8; 's' + SHA-256 of a session's -> its id 16 */
    DB_SESSION,  /* session id 16 -> session row */
    DB_SUBJECT,  /* subject hash 16 + session id 16 -> empty */
    DB_SUBS,     /* session stream 8 + topic stream 8 -> join cursor 8 + tracked 1 */
    DB_MEMBER,   /* topic stream 8 + hash of the key 16 + session stream 8 -> meta, ref, ... */
    DB_ATTACH,   /* session id 16 + connection 8 -> attachment */
    DB_EXPIRY,   /* due second 8 + kind 1 + id -> empty */
    DB_DEDUP,    /* bucket second 4 + stream 8 + key hash 16 -> seq 8 + time 8 + content hash 16 */
    DB_COLLAPSE, /* stream 8 + SHA-256 of the key, first 16 -> seq 8 */
    DB_RECEIPT,  /* stream 8 + seq 8 -> why and when it went */
    DB_TALLY,    /* stream 8 + last seq of a run 8 -> what the run still holds (stream_tally.h) */
    DB_RECLAIM,  /* stream 8 + seq 8 -> how an ack up to seq that is still being reclaimed judges */
    DB_TOPIC,    /* topic stream 8 -> its name, subscribers, since when it is idle */
    DB_META,     /* name -> value */
    DB_COUNT
};

enum store_mode { STORE_WRITER, STORE_READER };

struct store_options {
    const char *path; /* a directory; made 0700 by the writer */
    uint64_t map_size;
    bool memory; /* NOSYNC+WRITEMAP on tmpfs; else LMDB's own fsync per commit */
    enum store_mode mode;
    unsigned max_readers;
    struct board_seat *seat; /* transactions are noted there for the watchdog; may be NULL */
};
#define STORE_READERS(workers) ((workers)*2 + 16) /* for max_readers: two generations and tools */

struct store;
struct txn;

/* 0; -EEXIST the store's schema is not ours; -ENOTSUP memory grade not on tmpfs, or map_size over
 * 90 % of its free space (either reason is logged); or an error above. A store that is refused is
 * left as it was. */
int store_open(const struct store_options *o, struct store **ret);
void store_close(struct store *s);

int store_read(struct store *s, struct txn **ret);  /* renews the one read transaction */
int store_write(struct store *s, struct txn **ret); /* writer only */
void txn_done(struct txn *t);                       /* ends a read, or aborts a write */
int txn_commit(struct txn *t);                      /* the handle is gone either way */

int txn_get(struct txn *t, enum store_db db, struct str key, struct str *ret);
int txn_put(struct txn *t, enum store_db db, struct str key, struct str value);
int txn_put_new(struct txn *t, enum store_db db, struct str key, struct str value); /* -EEXIST */
/* Room for n bytes as the value of key, to be filled before the next call. */
int txn_reserve(struct txn *t, enum store_db db, struct str key, size_t n, void **ret);
int txn_del(struct txn *t, enum store_db db, struct str key);
uint64_t txn_entries(struct txn *t, enum store_db db);

/* Walking. A seek places the transaction's one cursor of that db; the row stays valid like a value.
 * Other writes in the transaction leave the place as it is. */
struct row {
    struct str key, value;
};
int txn_seek(struct txn *t, enum store_db db, struct str key, struct row *ret); /* first >= key */
int txn_next(struct txn *t, enum store_db db, struct row *ret);
int txn_prev(struct txn *t, enum store_db db, struct row *ret); /* before the placed one */
int txn_last(struct txn *t, enum store_db db, struct row *ret);
/* Deletes the placed row; then txn_next gives the one after it. */
int txn_del_row(struct txn *t, enum store_db db);

/* Bytes: pages in use, the limit (map size or what the file system has, whichever is less), and the
 * file up to its last page. Cheap (statistics of the DBIs and one statvfs). Writer, in a txn. */
struct store_usage {
    uint64_t used, limit, file;
};
int txn_usage(struct txn *t, struct store_usage *ret);

int store_reader_check(struct store *s); /* clears slots of dead readers; their number or < 0 */
int store_copy(struct store *s, int fd); /* consistent compacted copy, for `restante verify` */

/* Big-endian keys. */
#define KEY_STREAM 16
/* Heads come after their messages: an append then finds the head, the place before it and often
 * the page itself where it has just been. */
#define STREAM_HEAD_SEQ UINT64_MAX
static inline void key_u64(unsigned char *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (unsigned char)(v >> (56 - 8 * i));
}
static inline uint64_t key_u64_get(const void *at)
{
    const unsigned char *p = at;
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}
static inline struct str key_stream(unsigned char buf[KEY_STREAM], uint64_t stream, uint64_t seq)
{
    key_u64(buf, stream);
    key_u64(buf + 8, seq);
    return str_make(buf, KEY_STREAM);
}

#endif

/* attachment - which connections a session has, each with a lease (rule 9).
 *
 *   u32 slot, slot_generation | u64 since_ms, lease_ms | transport | remote | u64 generation, run
 */
#include <errno.h>

#include "common/log.h"
#include "common/pack.h"

#include "shm/expiry.h"
#include "shm/session.h"

#define KEY_SIZE (SESSION_ID_SIZE + 8)
#define ROW_MAX (4 + 4 + 8 + 8 + 2 * (4 + 255) + 8 + 8)

static struct str make_key(unsigned char key[KEY_SIZE], const uint8_t session[SESSION_ID_SIZE],
                           uint64_t connection)
{
    memcpy(key, session, SESSION_ID_SIZE);
    key_u64(key + SESSION_ID_SIZE, connection);
    return str_make(key, KEY_SIZE);
}

static int decode(struct row row, struct attachment *ret)
{
    if (row.key.n != KEY_SIZE)
        return -EUCLEAN;
    struct unpack u = unpack_from(row.value.p, row.value.n);
    struct attachment a = {.connection = key_u64_get(row.key.p + SESSION_ID_SIZE)};
    a.slot = unpack_u32(&u);
    a.slot_generation = unpack_u32(&u);
    a.since_ms = unpack_u64(&u);
    a.lease_ms = unpack_u64(&u);
    a.transport = unpack_str(&u);
    a.remote = unpack_str(&u);
    a.generation = unpack_u64(&u);
    a.run = unpack_u64(&u);
    if (!unpack_done(&u))
        return -EUCLEAN;
    *ret = a;
    return 0;
}

int attachment_put(struct txn *t, const uint8_t session[SESSION_ID_SIZE],
                   const struct attachment *a)
{
    unsigned char key[KEY_SIZE], row[ROW_MAX];
    must(a->transport.n <= 255 && a->remote.n <= 255);
    struct pack p = pack_into(row, sizeof(row));
    pack_u32(&p, a->slot);
    pack_u32(&p, a->slot_generation);
    pack_u64(&p, a->since_ms);
    pack_u64(&p, a->lease_ms);
    pack_str(&p, a->transport);
    pack_str(&p, a->remote);
    pack_u64(&p, a->generation);
    pack_u64(&p, a->run);
    return txn_put(t, DB_ATTACH, make_key(key, session, a->connection),
                   str_make(row, pack_len(&p)));
}

int attachment_get(struct txn *t, const uint8_t session[SESSION_ID_SIZE], uint64_t connection,
                   struct attachment *ret)
{
    unsigned char key[KEY_SIZE];
    struct row row = {.key = make_key(key, session, connection)};
    int rc = txn_get(t, DB_ATTACH, row.key, &row.value);
    return rc < 0 ? rc : decode(row, ret);
}

int attachment_del(struct txn *t, const uint8_t session[SESSION_ID_SIZE], uint64_t connection)
{
    unsigned char key[KEY_SIZE];
    return txn_del(t, DB_ATTACH, make_key(key, session, connection));
}

/* A session's rows, one after another. 1, 0 there are no more, or < 0. */
static int walk(struct txn *t, const uint8_t session[SESSION_ID_SIZE], bool first,
                struct attachment *ret)
{
    struct row row;
    int rc = first ? txn_seek(t, DB_ATTACH, str_make(session, SESSION_ID_SIZE), &row)
                   : txn_next(t, DB_ATTACH, &row);
    if (rc == -ENOENT)
        return 0;
    if (rc == 0 &&
        (row.key.n < SESSION_ID_SIZE || memcmp(row.key.p, session, SESSION_ID_SIZE) != 0))
        return 0;
    if (rc == 0)
        rc = decode(row, ret);
    return rc < 0 ? rc : 1;
}

int attachment_list(struct txn *t, const uint8_t session[SESSION_ID_SIZE], struct attachment *ret,
                    size_t max)
{
    struct attachment a;
    size_t n = 0;
    int got = max > 0 ? walk(t, session, true, &a) : 0;
    while (got > 0) {
        if (a.connection != ATTACHMENT_GHOST)
            ret[n++] = a;
        got = n < max ? walk(t, session, false, &a) : 0;
    }
    return got < 0 ? got : (int)n;
}

uint64_t attachment_end(const struct attachment *a, const struct attachment_run *run)
{
    return a->run == run->start_ms ? a->lease_ms : run->start_ms + run->grace_ms;
}

int attachment_last_end(struct txn *t, const uint8_t session[SESSION_ID_SIZE],
                        const struct attachment_run *run, uint64_t *ret_ms)
{
    struct attachment a;
    uint64_t last = 0;
    int got = walk(t, session, true, &a);
    while (got > 0) {
        uint64_t end = attachment_end(&a, run);
        last = end > last ? end : last;
        got = walk(t, session, false, &a);
    }
    if (got == 0)
        *ret_ms = last;
    return got;
}

/* Whose leases are to end otherwise than they say: those of runs before `run`, or, where that is
 * NULL, a worker's. */
struct cut {
    const struct attachment_run *run;
    uint32_t slot, dead;
    uint64_t until_ms;
};

/* false: it stays as it is. */
static bool cut_of(const struct cut *c, struct attachment *a)
{
    if (c->run) {
        uint64_t end = attachment_end(a, c->run);
        bool other = a->run != c->run->start_ms;
        a->lease_ms = end;
        a->run = c->run->start_ms;
        return other;
    }
    if (a->slot != c->slot || a->slot_generation > c->dead || a->lease_ms <= c->until_ms)
        return false;
    a->lease_ms = c->until_ms;
    return true;
}

static int cut_leases(struct txn *t, const struct cut *cut, unsigned char key[24], unsigned *budget,
                      bool *ret_done)
{
    struct row row;
    int rc = txn_seek(t, DB_ATTACH, str_make(key, KEY_SIZE), &row);
    if (rc == 0 && str_eq(row.key, str_make(key, KEY_SIZE)))
        rc = txn_next(t, DB_ATTACH, &row); /* this one was done last time */
    while (rc == 0 && *budget > 0) {
        struct attachment a;
        --*budget;
        if (decode(row, &a) < 0) {
            /* It makes no sense, and must not keep the others from their end. */
            rc = txn_del_row(t, DB_ATTACH);
            if (rc == 0)
                rc = txn_next(t, DB_ATTACH, &row);
            continue;
        }
        memcpy(key, row.key.p, KEY_SIZE);
        if (cut_of(cut, &a)) {
            /* The texts point into the row being replaced; attachment_put copies, then writes. */
            rc = attachment_put(t, key, &a);
            if (rc == 0)
                rc = expiry_put(t, a.lease_ms, EXPIRE_ATTACHMENT, str_make(key, KEY_SIZE));
        }
        if (rc == 0)
            rc = txn_next(t, DB_ATTACH, &row);
    }
    if (rc < 0 && rc != -ENOENT)
        return rc;
    *ret_done = rc == -ENOENT;
    return 0;
}

int attachment_worker_died(struct txn *t, uint32_t slot, uint32_t dead, uint64_t until_ms,
                           unsigned char key[24], unsigned *budget, bool *ret_done)
{
    struct cut cut = {.slot = slot, .dead = dead, .until_ms = until_ms};
    return cut_leases(t, &cut, key, budget, ret_done);
}

int attachment_server_died(struct txn *t, const struct attachment_run *run, unsigned char key[24],
                           unsigned *budget, bool *ret_done)
{
    struct cut cut = {.run = run};
    return cut_leases(t, &cut, key, budget, ret_done);
}

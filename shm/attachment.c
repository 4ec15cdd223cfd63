/* attachment - which connections a session has, each with a lease (rule 9).
 *
 *   u32 slot, slot_generation | u64 since_ms, lease_ms | transport | remote | u64 generation
 */
#include <errno.h>

#include "common/log.h"
#include "common/pack.h"

#include "shm/expiry.h"
#include "shm/session.h"

#define KEY_SIZE (SESSION_ID_SIZE + 8)
#define ROW_MAX (4 + 4 + 8 + 8 + 2 * (4 + 255) + 8)

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

int attachment_list(struct txn *t, const uint8_t session[SESSION_ID_SIZE], struct attachment *ret,
                    size_t max)
{
    struct row row;
    size_t n = 0;
    int rc = txn_seek(t, DB_ATTACH, str_make(session, SESSION_ID_SIZE), &row);
    while (rc == 0 && n < max && row.key.n >= SESSION_ID_SIZE &&
           memcmp(row.key.p, session, SESSION_ID_SIZE) == 0) {
        rc = decode(row, &ret[n]);
        if (rc < 0)
            return rc;
        n++;
        rc = txn_next(t, DB_ATTACH, &row);
    }
    return rc == 0 || rc == -ENOENT ? (int)n : rc;
}

static int cut_lease(struct txn *t, const unsigned char key[KEY_SIZE], const struct attachment *was,
                     uint64_t until_ms)
{
    /* The texts point into the row being replaced, and attachment_put copies before it writes. */
    struct attachment a = *was;
    a.lease_ms = until_ms;
    int rc = attachment_put(t, key, &a);
    if (rc == 0)
        rc = expiry_put(t, until_ms, EXPIRE_ATTACHMENT, str_make(key, KEY_SIZE));
    return rc;
}

int attachment_worker_died(struct txn *t, uint32_t slot, uint32_t dead, uint64_t until_ms,
                           unsigned char key[24], unsigned *budget, bool *ret_done)
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
        if (a.slot == slot && a.slot_generation <= dead && a.lease_ms > until_ms)
            rc = cut_lease(t, key, &a, until_ms);
        if (rc == 0)
            rc = txn_next(t, DB_ATTACH, &row);
    }
    if (rc < 0 && rc != -ENOENT)
        return rc;
    *ret_done = rc == -ENOENT;
    return 0;
}

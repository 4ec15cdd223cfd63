/* expiry - the queue of due things: key due second 8 + kind 1 + id, value empty. */
#include <errno.h>

#include "common/log.h"

#include "shm/expiry.h"

#define KEY_FIXED (8 + 1)

static struct str make_key(unsigned char buf[EXPIRY_KEY], uint64_t due_ms, enum expiry_kind kind,
                           struct str id)
{
    must(id.n > 0 && id.n <= EXPIRY_ID_MAX);
    key_u64(buf, due_ms / 1000 + (due_ms % 1000 != 0));
    buf[8] = (unsigned char)kind;
    memcpy(buf + KEY_FIXED, id.p, id.n);
    return str_make(buf, KEY_FIXED + id.n);
}

int expiry_put(struct txn *t, uint64_t due_ms, enum expiry_kind kind, struct str id)
{
    unsigned char key[EXPIRY_KEY];
    return txn_put(t, DB_EXPIRY, make_key(key, due_ms, kind, id), str_make("", 0));
}

int expiry_del(struct txn *t, uint64_t due_ms, enum expiry_kind kind, struct str id)
{
    unsigned char key[EXPIRY_KEY];
    return txn_del(t, DB_EXPIRY, make_key(key, due_ms, kind, id));
}

int expiry_has(struct txn *t, uint64_t due_ms, enum expiry_kind kind, struct str id)
{
    unsigned char key[EXPIRY_KEY];
    struct str v;
    return txn_get(t, DB_EXPIRY, make_key(key, due_ms, kind, id), &v);
}

int expiry_decode(struct str key, struct expiry_row *ret)
{
    if (key.n <= KEY_FIXED || key.n > EXPIRY_KEY)
        return -EUCLEAN;
    uint64_t second = key_u64_get(key.p);
    struct expiry_row row = {
        .due_ms = second > UINT64_MAX / 1000 ? UINT64_MAX : second * 1000,
        .kind = (enum expiry_kind)(unsigned char)key.p[8],
        .id_len = key.n - KEY_FIXED,
    };
    memcpy(row.id, key.p + KEY_FIXED, row.id_len);
    *ret = row;
    return 0;
}

int expiry_take(struct txn *t, uint64_t now_ms, struct expiry_row *ret)
{
    struct row row;
    struct expiry_row due;
    int rc = txn_seek(t, DB_EXPIRY, str_make(NULL, 0), &row);
    if (rc < 0)
        return rc;
    int sense = expiry_decode(row.key, &due);
    if (sense == 0 && due.due_ms > now_ms)
        return -ENOENT;
    rc = txn_del_row(t, DB_EXPIRY);
    if (rc < 0 || sense < 0)
        return rc < 0 ? rc : sense;
    *ret = due;
    return 0;
}

int expiry_next(struct txn *t, uint64_t *ret_due_ms)
{
    struct row row;
    struct expiry_row due;
    int rc = txn_seek(t, DB_EXPIRY, str_make(NULL, 0), &row);
    if (rc == -ENOENT) {
        *ret_due_ms = UINT64_MAX;
        return 0;
    }
    if (rc == 0)
        *ret_due_ms = expiry_decode(row.key, &due) == 0 ? due.due_ms : 0;
    return rc;
}

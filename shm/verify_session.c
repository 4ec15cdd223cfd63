/* verify_session - sessions have their subject, name, mailbox and expiry rows, and the other way.
 */
#include <errno.h>
#include <inttypes.h>

#include "shm/session.h"
#include "shm/stream_priv.h"
#include "shm/verify_priv.h"

static const char *text_of(const uint8_t *id, char text[SESSION_ID_TEXT])
{
    session_id_text(id, text);
    return text;
}

static void complain(struct verify *v, const uint8_t *id, const char *what)
{
    char text[SESSION_ID_TEXT];
    violation(v, "session %s: %s", text_of(id, text), what);
}

static int check_subject(struct verify *v, const struct session *s)
{
    unsigned char key[16 + SESSION_ID_SIZE];
    struct str value;
    if (s->subject.n == 0)
        return 0;
    subject_hash(s->subject, key);
    memcpy(key + 16, s->id, SESSION_ID_SIZE);
    int rc = txn_get(v->txn, DB_SUBJECT, str_make(key, sizeof(key)), &value);
    if (rc == -ENOENT)
        complain(v, s->id, "its subject does not list it");
    return rc == -ENOENT ? 0 : rc;
}

static int check_name(struct verify *v, const struct session *s)
{
    uint8_t named[SESSION_ID_SIZE] = {0};
    if (s->name.n == 0)
        return 0;
    int rc = session_by_name(v->txn, s->subject, s->name, named);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    if (memcmp(named, s->id, SESSION_ID_SIZE) != 0)
        complain(v, s->id, "its name does not lead to it");
    return 0;
}

static int check_mailbox(struct verify *v, const struct session *s)
{
    struct stream_head h;
    struct entry first;
    unsigned char key[8];
    int rc = verify_soft(v, s->stream, 0, stream_head(v->txn, s->stream, &h));
    if (rc == -ENOENT || (rc == 0 && h.kind != STREAM_MAILBOX)) {
        complain(v, s->id, "it has no mailbox");
        return 0;
    }
    if (rc < 0)
        return rc;
    rc = verify_soft(v, s->stream, h.floor, entry_first(v->txn, s->stream, h.floor + 1, &first));
    if (rc == 0 && first.seq <= s->acked)
        complain(v, s->id, "a message at or below its ack is pending");
    key_u64(key, s->stream);
    return rc == 0 || rc == -ENOENT ? keyset_add(&v->mailboxes, key) : rc;
}

static int check_session(struct verify *v, const struct session *s)
{
    if (s->acked > v->meta.last_seq || s->delivered > v->meta.last_seq ||
        s->start_seq > v->meta.last_seq)
        complain(v, s->id, "its marks are past the store's last seq");
    if (s->acked_prev > s->acked || s->delivered_prev > s->delivered)
        complain(v, s->id, "its marks moved back");
    if (!keyset_has(&v->sessions, s->id))
        complain(v, s->id, "its end is not queued");
    int rc = check_subject(v, s);
    if (rc == 0)
        rc = check_name(v, s);
    return rc == 0 ? check_mailbox(v, s) : rc;
}

static int walk_sessions(struct verify *v)
{
    struct row row;
    int rc = txn_seek(v->txn, DB_SESSION, str_make(NULL, 0), &row);
    for (; rc == 0; rc = txn_next(v->txn, DB_SESSION, &row)) {
        struct session s;
        v->session_rows++;
        if (row.key.n != SESSION_ID_SIZE) {
            violation(v, "session: a key of %zu bytes", row.key.n);
            continue;
        }
        const uint8_t *id = (const uint8_t *)row.key.p;
        int err = session_get(v->txn, id, &s);
        if (err == -EUCLEAN)
            complain(v, id, "malformed");
        else if (err == 0)
            err = check_session(v, &s);
        if (err < 0 && err != -EUCLEAN)
            return err;
    }
    return rc == -ENOENT ? 0 : rc;
}

static int walk_subjects(struct verify *v)
{
    struct row row;
    int rc = txn_seek(v->txn, DB_SUBJECT, str_make(NULL, 0), &row);
    for (; rc == 0; rc = txn_next(v->txn, DB_SUBJECT, &row)) {
        struct session s;
        uint8_t hash[16] = {0};
        if (row.key.n != sizeof(hash) + SESSION_ID_SIZE) {
            violation(v, "subject: a key of %zu bytes", row.key.n);
            continue;
        }
        const uint8_t *id = (const uint8_t *)row.key.p + sizeof(hash);
        int err = session_get(v->txn, id, &s);
        if (err < 0 && err != -ENOENT && err != -EUCLEAN)
            return err;
        if (err == 0)
            subject_hash(s.subject, hash);
        if (err < 0 || memcmp(hash, row.key.p, sizeof(hash)) != 0)
            complain(v, id, "a subject lists it that it does not have");
    }
    return rc == -ENOENT ? 0 : rc;
}

static int walk_names(struct verify *v)
{
    struct row row;
    int rc = txn_seek(v->txn, DB_NAME, STR("s"), &row);
    for (; rc == 0 && row.key.n > 0 && row.key.p[0] == 's'; rc = txn_next(v->txn, DB_NAME, &row)) {
        struct session s;
        uint8_t named[SESSION_ID_SIZE];
        v->names++;
        if (row.value.n != SESSION_ID_SIZE) {
            violation(v, "name: a malformed row");
            continue;
        }
        const uint8_t *id = (const uint8_t *)row.value.p;
        int err = session_get(v->txn, id, &s);
        if (err == 0)
            err = session_by_name(v->txn, s.subject, s.name, named);
        if (err < 0 && err != -ENOENT && err != -EUCLEAN)
            return err;
        if (err < 0 || memcmp(named, id, sizeof(named)) != 0)
            complain(v, id, "a name leads to it that it does not bear");
    }
    return rc == -ENOENT || rc == 0 ? 0 : rc;
}

static int walk_attachments(struct verify *v)
{
    struct row row;
    int rc = txn_seek(v->txn, DB_ATTACH, str_make(NULL, 0), &row);
    for (; rc == 0; rc = txn_next(v->txn, DB_ATTACH, &row)) {
        struct attachment a;
        struct session s;
        if (row.key.n != SESSION_ID_SIZE + 8) {
            violation(v, "attach: a key of %zu bytes", row.key.n);
            continue;
        }
        const uint8_t *id = (const uint8_t *)row.key.p;
        int err = attachment_get(v->txn, id, key_u64_get(row.key.p + SESSION_ID_SIZE), &a);
        if (err == 0)
            err = session_get(v->txn, id, &s);
        if (err < 0 && err != -ENOENT && err != -EUCLEAN)
            return err;
        if (err < 0)
            complain(v, id, "an attachment that is malformed, or of no session");
    }
    return rc == -ENOENT ? 0 : rc;
}

int verify_sessions(struct verify *v)
{
    unsigned char key[8];
    int rc = walk_sessions(v);
    if (rc == 0 && keyset_repeated(&v->mailboxes, key) > 0)
        violation(v, "stream %" PRIu64 ": the mailbox of more than one session", key_u64_get(key));
    if (rc == 0)
        rc = walk_subjects(v);
    if (rc == 0)
        rc = walk_names(v);
    if (rc == 0)
        rc = walk_attachments(v);
    return rc;
}

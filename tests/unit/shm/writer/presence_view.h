/* presence_view - a client that keeps the list of a topic: it fetches it from the store, applies
 * the diffs that come, and fetches it again when it missed one. */
#ifndef TESTS_PRESENCE_VIEW_H
#define TESTS_PRESENCE_VIEW_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/log.h"
#include "shm/member.h"

#include <cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VIEW_MAX 1100
struct seat {
    char session[SESSION_ID_TEXT], key[40], ref[MEMBER_REF_TEXT], meta[80];
};
struct view {
    const char *name; /* of its topic */
    uint64_t version;
    size_t n, applied; /* of what came by the feed */
    unsigned fetched;  /* how often */
    struct seat seat[VIEW_MAX];
};

static inline struct seat *seat_of(struct view *v, const char *session)
{
    for (size_t i = 0; i < v->n; i++)
        if (strcmp(v->seat[i].session, session) == 0)
            return &v->seat[i];
    return NULL;
}

static inline bool sits(struct view *v, const uint8_t id[SESSION_ID_SIZE])
{
    char text[SESSION_ID_TEXT];
    session_id_text(id, text);
    return seat_of(v, text) != NULL;
}

static inline void text_of(char *ret, size_t size, struct str s)
{
    must(s.n < size);
    memcpy(ret, s.p, s.n);
    ret[s.n] = 0;
}

/* What the list says now. */
static inline void view_fetch(struct txn *t, struct view *v)
{
    uint64_t stream;
    struct topic topic;
    struct member m;
    v->n = 0;
    v->version = 0;
    v->fetched++;
    int rc = topic_find(t, str_of(v->name), &stream);
    if (rc == -ENOENT)
        return;
    assert_int_equal(rc, 0);
    assert_int_equal(topic_get(t, stream, &topic), 0);
    v->version = topic.version;
    for (rc = member_first(t, stream, NULL, &m); rc == 0; rc = member_next(t, stream, &m)) {
        if (!m.here)
            continue;
        must(v->n < VIEW_MAX);
        struct seat *s = &v->seat[v->n++];
        session_id_text(m.session, s->session);
        member_ref_text(m.ref, s->ref);
        text_of(s->key, sizeof(s->key), m.key);
        text_of(s->meta, sizeof(s->meta), m.meta);
    }
    assert_int_equal(rc, -ENOENT);
    assert_int_equal(topic.members, v->n);
}

static inline const char *member_text(const cJSON *meta, const char *name)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(meta, name);
    assert_true(cJSON_IsString(v));
    return v->valuestring;
}

/* A member as a diff shows it, put back into what it was made of. */
static inline struct seat seat_from(const char *key, cJSON *meta)
{
    struct seat s = {.key = ""};
    text_of(s.key, sizeof(s.key), str_of(key));
    text_of(s.session, sizeof(s.session), str_of(member_text(meta, "session")));
    text_of(s.ref, sizeof(s.ref), str_of(member_text(meta, "ref")));
    assert_int_equal(strlen(member_text(meta, "since")), 24);
    static const char *const own[] = {"session", "ref", "since", "prev_ref"};
    for (size_t i = 0; i < 4; i++)
        cJSON_DeleteItemFromObjectCaseSensitive(meta, own[i]);
    char *rest = cJSON_PrintUnformatted(meta);
    text_of(s.meta, sizeof(s.meta), str_of(rest));
    cJSON_free(rest);
    return s;
}

static inline void apply_joins(struct view *v, cJSON *keys)
{
    for (cJSON *key = keys->child; key; key = key->next)
        for (cJSON *meta = key->child->child; meta; meta = meta->next) {
            struct seat s = seat_from(key->string, meta), *at = seat_of(v, s.session);
            must(at || v->n < VIEW_MAX);
            *(at ? at : &v->seat[v->n++]) = s;
        }
}

static inline void apply_leaves(struct view *v, cJSON *keys)
{
    for (cJSON *key = keys->child; key; key = key->next)
        for (cJSON *meta = key->child->child; meta; meta = meta->next) {
            struct seat s = seat_from(key->string, meta), *at = seat_of(v, s.session);
            if (at)
                *at = v->seat[--v->n];
        }
}

static inline cJSON *item(cJSON *o, const char *name)
{
    cJSON *v = cJSON_GetObjectItemCaseSensitive(o, name);
    assert_non_null(v);
    return v;
}

/* One diff; false: it was not for this version, and the list must be fetched. */
static inline bool view_apply(struct view *v, const char *text)
{
    cJSON *o = cJSON_Parse(text);
    assert_non_null(o);
    uint64_t version = (uint64_t)item(o, "version")->valuedouble;
    uint64_t prev = (uint64_t)item(o, "prev")->valuedouble;
    assert_int_equal(version, prev + 1);
    bool fits = prev == v->version, old = version <= v->version;
    if (fits) {
        apply_joins(v, item(o, "joins"));
        apply_leaves(v, item(o, "leaves"));
        v->version = version;
    }
    cJSON_Delete(o);
    return fits || old;
}

static inline int by_session(const void *a, const void *b)
{
    return strcmp(((const struct seat *)a)->session, ((const struct seat *)b)->session);
}

static inline void expect_same(struct view *a, struct view *b)
{
    qsort(a->seat, a->n, sizeof(a->seat[0]), by_session);
    qsort(b->seat, b->n, sizeof(b->seat[0]), by_session);
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_string_equal(a->seat[i].session, b->seat[i].session);
        assert_string_equal(a->seat[i].key, b->seat[i].key);
        assert_string_equal(a->seat[i].ref, b->seat[i].ref);
        assert_string_equal(a->seat[i].meta, b->seat[i].meta);
    }
}

#endif

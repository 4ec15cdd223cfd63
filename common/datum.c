/* datum - the few questions that a request is asked, put to either encoding. */
#include "common/datum.h"

#include <errno.h>

#include "common/log.h"
#include "common/units.h"

#define SECOND_MS 1000

int datum_check(enum encoding encoding, struct str text, struct datum *ret)
{
    struct datum d = {.encoding = encoding};
    int err = encoding == ENCODING_JSON ? json_check(text, &d.json) : mp_check(text, &d.mp);
    if (!err)
        *ret = d;
    return err;
}

const char *datum_error_text(enum encoding encoding, int err)
{
    if (encoding == ENCODING_MSGPACK)
        return mp_error_text(err);
    return err == -E2BIG ? "JSON nested too deep" : "not JSON";
}

int datum_pick(const struct datum *object, const char *const *names, size_t n, struct datum *values)
{
    union {
        struct json_value json[DATUM_PICK];
        struct mp_value mp[DATUM_PICK];
    } picked;
    must(n <= DATUM_PICK);
    bool json = object->encoding == ENCODING_JSON;
    int err = json ? json_pick(object->json, names, n, picked.json)
                   : mp_pick(object->mp, names, n, picked.mp);
    for (size_t i = 0; i < n && !err; i++) {
        values[i].encoding = object->encoding;
        if (json)
            values[i].json = picked.json[i];
        else
            values[i].mp = picked.mp[i];
    }
    return err;
}

bool datum_is_list(const struct datum *d)
{
    return d->encoding == ENCODING_JSON ? d->json.type == JSON_ARRAY : d->mp.type == MP_ARRAY;
}

void datum_iter_begin(struct datum_iter *it, const struct datum *list)
{
    it->encoding = list->encoding;
    if (list->encoding == ENCODING_JSON)
        json_iter_begin(&it->json, list->json);
    else
        mp_iter_begin(&it->mp, list->mp);
}

bool datum_next_item(struct datum_iter *it, struct datum *ret)
{
    ret->encoding = it->encoding;
    return it->encoding == ENCODING_JSON ? json_next_item(&it->json, &ret->json)
                                         : mp_next_item(&it->mp, &ret->mp);
}

struct str datum_raw(const struct datum *d)
{
    return d->encoding == ENCODING_JSON ? d->json.raw : d->mp.raw;
}

bool datum_given(const struct datum *d)
{
    bool null = d->encoding == ENCODING_JSON ? d->json.type == JSON_NULL : d->mp.type == MP_NIL;
    return datum_raw(d).p && !null;
}

bool datum_is_string(const struct datum *d)
{
    return d->encoding == ENCODING_JSON ? d->json.type == JSON_STRING : d->mp.type == MP_STR;
}

int datum_text(const struct datum *d, struct buf *scratch, struct str *ret)
{
    if (!datum_is_string(d))
        return -EINVAL;
    if (d->encoding == ENCODING_MSGPACK) {
        *ret = d->mp.bytes;
        return 0;
    }
    struct str raw = d->json.raw;
    if (!memchr(raw.p, '\\', raw.n)) {
        *ret = str_make(raw.p + 1, raw.n - 2);
        return 0;
    }
    size_t from = scratch->len;
    int err = json_string(d->json, scratch);
    if (!err)
        *ret = str_make(scratch->data + from, scratch->len - from);
    return err;
}

int datum_bool(const struct datum *d, bool *ret)
{
    bool json = d->encoding == ENCODING_JSON;
    bool yes = json ? d->json.type == JSON_TRUE : d->mp.type == MP_TRUE;
    bool no = json ? d->json.type == JSON_FALSE : d->mp.type == MP_FALSE;
    if (!yes && !no)
        return -EINVAL;
    *ret = yes;
    return 0;
}

int datum_u64(const struct datum *d, uint64_t *ret)
{
    if (d->encoding == ENCODING_JSON)
        return json_u64(d->json, ret);
    if (d->mp.type != MP_UINT)
        return -EINVAL;
    *ret = d->mp.u;
    return 0;
}

int datum_duration(const struct datum *d, uint64_t *ret_ms)
{
    if (d->encoding == ENCODING_JSON)
        return json_duration(d->json, ret_ms);
    if (d->mp.type == MP_STR)
        return duration_parse(d->mp.bytes, ret_ms);
    if (d->mp.type != MP_UINT)
        return -EINVAL;
    if (d->mp.u > UINT64_MAX / SECOND_MS)
        return -ERANGE;
    *ret_ms = d->mp.u * SECOND_MS;
    return 0;
}

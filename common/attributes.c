/* attributes - see attributes.h. The objects are a few kilobytes at most, so names are compared
 * pairwise; what is compared is the decoded name, since "a" and "\u0061" are the same member. */
#include "common/attributes.h"

#include "common/json.h"

#include <errno.h>

#define NAME_MAX_BYTES 65536

struct name {
    struct buf text;
};

static int name_set(struct name *n, struct str raw_key)
{
    struct json_value quoted = {JSON_STRING, str_make(raw_key.p - 1, raw_key.n + 2)};
    buf_reset(&n->text);
    return json_string(quoted, &n->text);
}

/* Whether a member of `text` after `from` (NULL: from the first) has this name. */
static int has_later(struct json_iter from, const struct name *wanted, struct name *scratch)
{
    struct str key;
    struct json_value value;
    while (json_next_member(&from, &key, &value)) {
        int err = name_set(scratch, key);
        if (err)
            return err;
        if (str_eq(buf_str(&scratch->text), buf_str(&wanted->text)))
            return 1;
    }
    return 0;
}

static int copy_members(struct json_value from, const struct json_value *but_not_in, bool skip_null,
                        bool *first, struct buf *out)
{
    struct name name, other;
    buf_init(&name.text, NAME_MAX_BYTES);
    buf_init(&other.text, NAME_MAX_BYTES);

    struct json_iter it;
    json_iter_begin(&it, from);
    struct str key;
    struct json_value value;
    int err = 0;
    while (!err && json_next_member(&it, &key, &value)) {
        if (skip_null && value.type == JSON_NULL)
            continue;
        err = name_set(&name, key);
        int gone = err ? 0 : has_later(it, &name, &other);
        if (!err && gone == 0 && but_not_in) {
            struct json_iter all;
            json_iter_begin(&all, *but_not_in);
            gone = has_later(all, &name, &other);
        }
        if (gone < 0)
            err = gone;
        if (err || gone)
            continue;
        if (!*first)
            buf_append_c(out, ',');
        *first = false;
        buf_append_c(out, '"');
        buf_append_str(out, key);
        buf_append_z(out, "\":");
        json_compact(value, out);
    }
    buf_free(&name.text);
    buf_free(&other.text);
    return err ? err : out->error;
}

int attributes_merge(struct str base, struct str patch, struct buf *out)
{
    struct json_value b = {JSON_OBJECT, STR("{}")}, p = {JSON_OBJECT, STR("{}")};
    if (base.n && json_check(base, &b) != 0)
        return -EINVAL;
    if (patch.n && json_check(patch, &p) != 0)
        return -EINVAL;
    if (b.type != JSON_OBJECT || p.type != JSON_OBJECT)
        return -EINVAL;

    bool first = true;
    buf_append_c(out, '{');
    int err = copy_members(b, &p, false, &first, out);
    if (!err)
        err = copy_members(p, NULL, true, &first, out);
    buf_append_c(out, '}');
    return err ? err : out->error;
}

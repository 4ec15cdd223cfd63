/* presence - a meta is judged and brought into the form in which it is kept. */
#include "worker/presence.h"

#include "shm/member.h"

#include <errno.h>

static bool is_deep(struct str compact)
{
    unsigned depth = 0, deepest = 0;
    bool quoted = false;
    for (size_t i = 0; i < compact.n; i++) {
        char c = compact.p[i];
        if (quoted && c == '\\')
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '['))
            depth++;
        else if (!quoted && (c == '}' || c == ']'))
            depth--;
        if (depth > deepest)
            deepest = depth;
    }
    return deepest > PRESENCE_DEPTH;
}

static enum code keep(struct json_value object, uint64_t max, struct buf *b, struct str *ret,
                      const char **ret_why)
{
    buf_init(b, max);
    int err = member_meta(object, b);
    *ret = buf_str(b);
    if (err == -EMSGSIZE) {
        *ret_why = "presence: more bytes than limits.presence_meta";
        return CODE_TOO_LARGE;
    }
    if (err)
        return CODE_UNAVAILABLE;
    if (is_deep(*ret)) {
        *ret_why = "presence: nested too deep";
        return CODE_BAD_REQUEST;
    }
    return CODE_OK;
}

static enum code convert(const struct datum *said, uint64_t max, struct buf *b, struct str *ret,
                         const char **ret_why)
{
    struct buf json;
    struct json_value object;
    buf_init(&json, MP_JSON_GROWTH * said->mp.raw.n);
    enum code code = CODE_UNAVAILABLE;
    if (mp_to_json(said->mp, &json) == 0 && json_check(buf_str(&json), &object) == 0)
        code = keep(object, max, b, ret, ret_why);
    buf_free(&json);
    return code;
}

enum code presence_read(const struct conf *conf, const struct conf_namespace *ns,
                        const struct datum *said, struct buf *b, struct str *ret,
                        const char **ret_why)
{
    bool json = said->encoding == ENCODING_JSON;
    buf_init(b, 0);
    *ret = str_make(NULL, 0);
    *ret_why = NULL;
    if (!datum_raw(said).p)
        return CODE_OK;
    if (!datum_given(said)) {
        *ret = STR("null");
        return CODE_OK;
    }
    if (json ? said->json.type != JSON_OBJECT : said->mp.type != MP_MAP) {
        *ret_why = "presence: an object, or null";
        return CODE_BAD_REQUEST;
    }
    if (!ns->presence) {
        *ret_why = "the topic's namespace has no presence";
        return CODE_FORBIDDEN;
    }
    return json ? keep(said->json, conf->presence_meta, b, ret, ret_why)
                : convert(said, conf->presence_meta, b, ret, ret_why);
}

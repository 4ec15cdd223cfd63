/* conf_list - lists of strings, and the form of what may stand in each kind of list. */
#include <errno.h>
#include <stdlib.h>

#include "common/conf_near.h"
#include "common/conf_value.h"
#include "common/log.h"

#define ITEM_MAX 255 /* bytes; a path may be as long as a string of the file */

struct kind {
    const char *name; /* in the min column of conf_item_table.h */
    const char *(*wrong)(struct str item);
    const char *allowed;
    const char *known; /* "a|b": what a mistyped item is compared with, up to its first colon */
};

const char *conf_pattern_wrong(struct str s)
{
    const char *star = s.n ? memchr(s.p, '*', s.n) : NULL;

    if (s.n == 0)
        return "is empty";
    if (star && star != s.p + s.n - 1)
        return "has a * that is not at its end";
    return NULL;
}

/* `sessions:*` and `send:*` know no names yet, so only * may follow. */
static const char *scope_wrong(struct str item)
{
    static const struct str whole[] = {{"admin", 5}, {"sessions:*", 10}, {"send:*", 6}};
    static const struct str open[] = {{"publish:", 8}, {"read:", 5}};

    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
        if (str_eq(item, whole[i]))
            return NULL;
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        if (item.n >= open[i].n && memcmp(item.p, open[i].p, open[i].n) == 0)
            return conf_pattern_wrong(str_make(item.p + open[i].n, item.n - open[i].n));
    return "is not a scope";
}

static bool is_host(const char *p, size_t n)
{
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (strchr("/?#@\\ ,\"", p[i]) || (unsigned char)p[i] >= 0x80)
            return false;
    return true;
}

/* A * stands for the first labels, and for nothing else. */
static bool is_host_pattern(const char *p, size_t n)
{
    if (n > 2 && memcmp(p, "*.", 2) == 0) {
        p += 2;
        n -= 2;
    }
    return is_host(p, n) && !memchr(p, '*', n);
}

/* RFC 6454 section 6.2: scheme://host[:port], as browsers send it; the host may be a pattern. */
static const char *origin_wrong(struct str item)
{
    const char *mark = item.n ? memmem(item.p, item.n, "://", 3) : NULL;
    size_t scheme = mark ? (size_t)(mark - item.p) : 0;

    if (str_is(item, "*"))
        return NULL;
    if (scheme == 0 || !is_host_pattern(mark + 3, item.n - scheme - 3))
        return "is not an origin";
    for (size_t i = 0; i < scheme; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789+-.", item.p[i]))
            return "is not an origin";
    return NULL;
}

static const char *socket_origin_wrong(struct str item)
{
    if (item.n > 2 && memcmp(item.p, "//", 2) == 0)
        return is_host(item.p + 2, item.n - 2) ? NULL : "is not an origin";
    return str_is(item, "*") ? "is not an origin" : origin_wrong(item);
}

static const char *mount_wrong(struct str item)
{
    if (item.n < 2 || item.p[0] != '/' || item.p[item.n - 1] == '/')
        return "is not a path to mount at";
    for (size_t i = 0; i < item.n; i++)
        if (strchr("?#% ", item.p[i]))
            return "is not a path to mount at";
    return NULL;
}

static const char *path_wrong(struct str item)
{
    return item.n ? NULL : "is empty";
}

static const struct kind kinds[] = {
    {"path", path_wrong, "a path, or a list of paths", NULL},
    {"scope", scope_wrong, "sessions:*, send:*, publish:<pattern>, read:<pattern>, admin",
     "sessions:*|send:*|publish:|read:|admin"},
    {"origin", origin_wrong, "scheme://host, scheme://host:port, scheme://*.host, *", NULL},
    {"socket origin", socket_origin_wrong, "scheme://host, scheme://host:port, //host", NULL},
    {"mount", mount_wrong, "a path that begins with / and does not end with it", NULL},
};

static const struct kind *kind_of(const struct conf_setting *s)
{
    size_t i = 0;

    while (i < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[i].name, s->min) != 0)
        i++;
    must(i < sizeof(kinds) / sizeof(kinds[0]));
    return &kinds[i];
}

bool conf_list_of_paths(const struct conf_setting *s)
{
    return kind_of(s)->wrong == path_wrong;
}

const char *conf_list_item(const struct conf_setting *s, struct str item)
{
    if (item.n > ITEM_MAX && !conf_list_of_paths(s))
        return "is longer than 255 bytes";
    if (conf_has_control(item))
        return "contains a control character";
    return kind_of(s)->wrong(item);
}

_Static_assert(ITEM_MAX == 255, "the message above says so");

const char *conf_list_allowed(const struct conf_setting *s)
{
    return kind_of(s)->allowed;
}

/* What stands before the colon is compared, and what stands after it is kept. */
const char *conf_list_near(const struct conf_setting *s, struct str item, char *ret, size_t size)
{
    struct conf_choices c = {kind_of(s)->known};
    struct conf_near near;
    struct str known;
    struct buf b;
    const char *colon = item.n ? memchr(item.p, ':', item.n) : NULL;
    size_t kind = colon ? (size_t)(colon - item.p) : item.n;

    conf_near_begin(&near, str_make(item.p, kind));
    while (conf_choice_next(&c, &known)) {
        const char *end = memchr(known.p, ':', known.n);
        conf_near_try(&near, str_make(known.p, end ? (size_t)(end - known.p) : known.n));
    }
    buf_fixed(&b, ret, size);
    for (c = (struct conf_choices){kind_of(s)->known}; conf_choice_next(&c, &known);) {
        if (near.best.n == 0 || known.p != near.best.p)
            continue;
        buf_append_str(&b, known);
        if (known.p[known.n - 1] == ':')
            buf_append_str(&b, colon && kind + 1 < item.n ? str_make(colon + 1, item.n - kind - 1)
                                                          : STR("*"));
    }
    ret[b.len] = 0;
    return ret;
}

size_t conf_list_items(const struct conf_setting *s, const void *owner, char ***ret)
{
    memcpy(ret, conf_field(owner, s->at), sizeof(*ret));
    return *(size_t *)conf_field(owner, s->len);
}

int conf_list_add(const struct conf_setting *s, struct str item, const char *dir, void *owner)
{
    char **items;
    size_t n = conf_list_items(s, owner, &items);
    char *copy = conf_list_of_paths(s) ? conf_path(dir, item) : strndup(item.p, item.n);

    items = copy ? reallocarray(items, n + 1, sizeof(items[0])) : NULL;
    if (!items) {
        free(copy);
        return -ENOMEM;
    }
    items[n] = copy;
    memcpy(conf_field(owner, s->at), &items, sizeof(items));
    *(size_t *)conf_field(owner, s->len) = n + 1;
    return 0;
}

void conf_list_free(const struct conf_setting *s, void *owner)
{
    char **items;
    size_t n = conf_list_items(s, owner, &items);

    for (size_t i = 0; i < n; i++)
        free(items[i]);
    free(items);
    memset(conf_field(owner, s->at), 0, sizeof(items));
    memset(conf_field(owner, s->len), 0, sizeof(n));
}

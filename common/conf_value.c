/* conf_value - text to field, by type. How values look to a person is in conf_wording.c. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/conf_value.h"
#include "common/ids.h"
#include "common/log.h"
#include "common/units.h"

/* What a type's functions are given. */
struct put {
    const struct conf_setting *s;
    struct str text;
    const char *dir;
    void *owner;
    const char *wrong; /* set with -EINVAL */
};

static int refuse(struct put *p, const char *wrong)
{
    p->wrong = wrong;
    return -EINVAL;
}

bool conf_has_control(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

char *conf_path(const char *dir, struct str text)
{
    bool whole = text.n == 0 || text.p[0] == '/';
    size_t n = whole ? 0 : strlen(dir);
    bool slash = n && dir[n - 1] != '/';
    char *path = malloc(n + slash + text.n + 1);

    if (!path)
        return NULL;
    memcpy(path, dir, n);
    path[n] = '/';
    if (text.n)
        memcpy(path + n + slash, text.p, text.n);
    path[n + slash + text.n] = 0;
    return path;
}

static int put_path(struct put *p)
{
    char **field = conf_field(p->owner, p->s->at);

    if (p->text.n == 0 && !(p->s->def && *p->s->def == 0))
        return refuse(p, "is empty");
    if (conf_has_control(p->text))
        return refuse(p, "contains a control character");
    char *path = conf_path(p->dir, p->text);
    if (!path)
        return -ENOMEM;
    if (strlen(path) >= PATH_MAX) {
        free(path);
        return refuse(p, "is too long for a path");
    }
    free(*field);
    *field = path;
    return 0;
}

static int put_bool(struct put *p)
{
    bool *field = conf_field(p->owner, p->s->at);

    if (!str_is(p->text, "true") && !str_is(p->text, "false"))
        return refuse(p, "is not one of the choices");
    *field = str_is(p->text, "true");
    return 0;
}

/* A number of the table's unit, and the bounds in the same unit. */
static int put_number(struct put *p, int (*parse)(struct str, uint64_t *), const char *not_one)
{
    uint64_t *field = conf_field(p->owner, p->s->at);
    uint64_t v, bound;
    int rc = parse(p->text, &v);

    if (rc == -ERANGE)
        return refuse(p, "is above the most");
    if (rc)
        return refuse(p, not_one);
    if (*p->s->min) {
        must(parse(str_of(p->s->min), &bound) == 0);
        if (v < bound)
            return refuse(p, "is below the least");
    }
    if (*p->s->max) {
        must(parse(str_of(p->s->max), &bound) == 0);
        if (v > bound)
            return refuse(p, "is above the most");
    }
    *field = v;
    return 0;
}

/* u64_parse refuses leading zeros and overflow alike; here the second is out of range. */
static int count_parse(struct str s, uint64_t *ret)
{
    size_t digits = 0;

    while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
        digits++;
    int rc = u64_parse(s, ret);
    return rc && digits == s.n && s.n && s.p[0] != '0' ? -ERANGE : rc;
}

static int put_count(struct put *p)
{
    return put_number(p, count_parse, "is not a whole number");
}

static int put_size(struct put *p)
{
    return put_number(p, size_parse, "is not a size");
}

static int put_duration(struct put *p)
{
    return put_number(p, duration_parse, "is not a duration");
}

static int put_ring(struct put *p)
{
    uint64_t *field = conf_field(p->owner, p->s->at);
    int rc = put_size(p);

    if (rc == 0)
        while (*field & (*field - 1)) /* up to the next power of two; max is one itself */
            *field += *field & -*field;
    return rc;
}

static int put_workers(struct put *p)
{
    uint64_t *field = conf_field(p->owner, p->s->at);
    uint64_t most;

    if (!str_is(p->text, "auto"))
        return put_number(p, count_parse, "is not a whole number");
    must(u64_parse(str_of(p->s->max), &most) == 0);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *field = cores < 1 ? 1 : (uint64_t)cores > most ? most : (uint64_t)cores;
    return 0;
}

static int choice_of(struct put *p, int *ret)
{
    struct conf_choices c = {p->s->min};
    struct str choice;

    for (int i = 0; conf_choice_next(&c, &choice); i++)
        if (str_eq(choice, p->text)) {
            *ret = i;
            return 0;
        }
    return refuse(p, "is not one of the choices");
}

static int put_enum(struct put *p)
{
    return choice_of(p, conf_field(p->owner, p->s->at));
}

static int put_switch(struct put *p)
{
    bool *field = conf_field(p->owner, p->s->at);
    int i;
    int rc = choice_of(p, &i);

    if (rc == 0)
        *field = i == 1;
    return rc;
}

static int put_sha256(struct put *p)
{
    if (hex_decode(p->text, conf_field(p->owner, p->s->at), 32))
        return refuse(p, "is not a SHA-256");
    return 0;
}

static void free_secret(const struct conf_setting *s, void *owner)
{
    unsigned char **field = conf_field(owner, s->at);
    size_t *len = conf_field(owner, s->len);

    if (*field)
        explicit_bzero(*field, *len);
    free(*field);
    *field = NULL;
    *len = 0;
}

static int put_secret(struct put *p)
{
    unsigned char **field = conf_field(p->owner, p->s->at);
    size_t *len = conf_field(p->owner, p->s->len);

    if (p->text.n < CONF_SECRET_MIN)
        return refuse(p, "is too short");
    unsigned char *copy = malloc(p->text.n + 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, p->text.p, p->text.n);
    copy[p->text.n] = 0;
    free_secret(p->s, p->owner);
    *field = copy;
    *len = p->text.n;
    return 0;
}

static void free_path(const struct conf_setting *s, void *owner)
{
    char **field = conf_field(owner, s->at);

    free(*field);
    *field = NULL;
}

/* NULL: a LIST, which is put item by item. */
static int (*const puts_of[CONF_TYPE_COUNT_OF])(struct put *p) = {
    [CONF_TYPE_PATH] = put_path,     [CONF_TYPE_BOOL] = put_bool,
    [CONF_TYPE_COUNT] = put_count,   [CONF_TYPE_SIZE] = put_size,
    [CONF_TYPE_RING] = put_ring,     [CONF_TYPE_DURATION] = put_duration,
    [CONF_TYPE_ENUM] = put_enum,     [CONF_TYPE_WORKERS] = put_workers,
    [CONF_TYPE_SWITCH] = put_switch, [CONF_TYPE_SHA256] = put_sha256,
    [CONF_TYPE_SECRET] = put_secret,
};

int conf_value_store(const struct conf_setting *s, struct str text, const char *dir, void *owner,
                     const char **ret_wrong)
{
    struct put p = {.s = s, .text = text, .dir = dir, .owner = owner};
    int rc = puts_of[s->type](&p);

    if (rc == -EINVAL)
        *ret_wrong = p.wrong;
    return rc;
}

int conf_value_default(const struct conf_setting *s, const char *dir, void *owner)
{
    struct conf_choices c = {s->def};
    struct str item;
    const char *wrong;
    int rc = 0;

    if (s->type == CONF_TYPE_LIST) {
        while (rc == 0 && conf_choice_next(&c, &item))
            rc = conf_list_add(s, item, dir, owner);
    } else if (s->def) {
        rc = conf_value_store(s, str_of(s->def), dir, owner, &wrong);
    }
    must(rc != -EINVAL);
    return rc;
}

void conf_value_free(const struct conf_setting *s, void *owner)
{
    if (s->type == CONF_TYPE_PATH)
        free_path(s, owner);
    else if (s->type == CONF_TYPE_SECRET)
        free_secret(s, owner);
    else if (s->type == CONF_TYPE_LIST)
        conf_list_free(s, owner);
}

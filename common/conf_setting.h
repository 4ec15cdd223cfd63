/* conf_setting - the two tables as rows that code can walk, and the sections they stand in.
 *
 * Private to conf*.c. Everything here is constant. Pure.
 */
#ifndef COMMON_CONF_SETTING_H
#define COMMON_CONF_SETTING_H

#include "common/conf.h"

enum conf_type {
    CONF_TYPE_PATH,
    CONF_TYPE_BOOL,
    CONF_TYPE_COUNT,
    CONF_TYPE_SIZE,
    CONF_TYPE_RING,
    CONF_TYPE_DURATION,
    CONF_TYPE_ENUM,
    CONF_TYPE_WORKERS,
    CONF_TYPE_SWITCH,
    CONF_TYPE_SHA256,
    CONF_TYPE_SECRET,
    CONF_TYPE_LIST,
    CONF_TYPE_COUNT_OF
};

enum conf_applies { CONF_LIVE, CONF_ROLLING, CONF_RESTART };

/* The struct that holds a setting. */
enum conf_owner {
    CONF_OWNER_conf,
    CONF_OWNER_conf_listen,
    CONF_OWNER_conf_token_key,
    CONF_OWNER_conf_api_key,
    CONF_OWNER_conf_namespace
};

struct conf_setting {
    enum conf_owner owner;
    enum conf_type type;
    const char *section, *name; /* section: the id of a conf_section */
    const char *def, *min, *max;
    enum conf_applies applies;
    const char *help;
    size_t at;  /* of the field in its owner */
    size_t len; /* of the length or number beside a SECRET or LIST */
};

enum conf_setting_index {
#define CONF(field, ...) CONF_SETTING_##field,
#include "common/conf_table.h"
#undef CONF
#define ITEM(owner, field, ...) CONF_SETTING_##owner##_##field,
#include "common/conf_item_table.h"
#undef ITEM
    CONF_SETTINGS
};

extern const struct conf_setting conf_settings[CONF_SETTINGS];

struct conf_section {
    const char *id, *parent; /* "listen.tls" in "listen"; the top level is "", in NULL */
    const char *name;        /* as written */
    const char *title;       /* what its title is; NULL: it has none and stands at most once */
    const char *help;
    enum conf_owner owner;
    size_t max;                     /* most of them, where titled */
    size_t array, number;           /* in struct conf, where titled */
    size_t size, title_at, line_at; /* of one of them, and in it */
    size_t flag;                    /* bool in the owner that says it stands there; 0: none */
};

enum conf_section_index {
    CONF_SECTION_TOP,
    CONF_SECTION_LISTEN,
    CONF_SECTION_TLS,
    CONF_SECTION_STORE,
    CONF_SECTION_PUBLISH,
    CONF_SECTION_TOKEN_KEY,
    CONF_SECTION_API_KEY,
    CONF_SECTION_SESSION,
    CONF_SECTION_NAMESPACE,
    CONF_SECTION_LIMITS,
    CONF_SECTION_TOPICS,
    CONF_SECTION_SHM,
    CONF_SECTION_CORS,
    CONF_SECTION_PHOENIX,
    CONF_SECTION_SERVER,
    CONF_SECTION_LOG,
    CONF_SECTIONS
};

extern const struct conf_section conf_sections[CONF_SECTIONS];

/* NULL when there is none. */
const struct conf_setting *conf_setting_find(const char *section, const char *name);
const struct conf_section *conf_section_find(const char *parent, const char *name);

/* Items of a titled section: how many, and item i. */
size_t conf_items(const struct conf *c, const struct conf_section *s);
void *conf_item(const struct conf *c, const struct conf_section *s, size_t i);
/* Appends a zeroed one; NULL when there is no memory. Earlier pointers go stale. */
void *conf_item_add(struct conf *c, const struct conf_section *s);
char **conf_item_title(void *item, const struct conf_section *s);

static inline void *conf_field(const void *owner, size_t at)
{
    return (char *)(uintptr_t)owner + at;
}

#endif

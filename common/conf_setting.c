/* conf_setting - the rows of conf_table.h and conf_item_table.h with the places of their fields.
 *
 * Searching is linear: there are some sixty rows and a configuration is read once.
 */
#include <stddef.h>
#include <stdlib.h>

#include "common/conf_setting.h"
#include "common/log.h"

/* Where the length beside a field is; 0 where there is none. */
#define LEN_PATH(owner, field) 0
#define LEN_BOOL(owner, field) 0
#define LEN_COUNT(owner, field) 0
#define LEN_SIZE(owner, field) 0
#define LEN_DURATION(owner, field) 0
#define LEN_ENUM(owner, field) 0
#define LEN_SWITCH(owner, field) 0
#define LEN_SHA256(owner, field) 0
#define LEN_SECRET(owner, field) offsetof(struct owner, field##_len)
#define LEN_LIST(owner, field) offsetof(struct owner, n##field)

const struct conf_setting conf_settings[CONF_SETTINGS] = {
#define CONF(field, type, section, name, def, min, max, applies, help)                             \
    {CONF_OWNER_conf,                                                                              \
     CONF_TYPE_##type,                                                                             \
     section,                                                                                      \
     name,                                                                                         \
     def,                                                                                          \
     min,                                                                                          \
     max,                                                                                          \
     CONF_##applies,                                                                               \
     help,                                                                                         \
     offsetof(struct conf, field),                                                                 \
     0},
#include "common/conf_table.h"
#undef CONF
#define ITEM(owner, field, type, section, name, def, min, max, applies, help)                      \
    {CONF_OWNER_##owner,                                                                           \
     CONF_TYPE_##type,                                                                             \
     section,                                                                                      \
     name,                                                                                         \
     def,                                                                                          \
     min,                                                                                          \
     max,                                                                                          \
     CONF_##applies,                                                                               \
     help,                                                                                         \
     offsetof(struct owner, field),                                                                \
     LEN_##type(owner, field)},
#include "common/conf_item_table.h"
#undef ITEM
};

#define TITLED(id_, title_, max_, type, field, help_)                                              \
    {                                                                                              \
        .id = id_, .parent = "", .name = id_, .title = #title_, .help = help_,                     \
        .owner = CONF_OWNER_##type, .max = max_, .array = offsetof(struct conf, field),            \
        .number = offsetof(struct conf, n##field), .size = sizeof(struct type),                    \
        .title_at = offsetof(struct type, title_), .line_at = offsetof(struct type, line)          \
    }
#define PLAIN(id_, help_)                                                                          \
    {                                                                                              \
        .id = id_, .parent = "", .name = id_, .help = help_                                        \
    }

const struct conf_section conf_sections[CONF_SECTIONS] = {
    [CONF_SECTION_TOP] = {.id = "", .name = ""},
    [CONF_SECTION_LISTEN] = TITLED("listen", address, 64, conf_listen, listens,
                                   "Where clients come in, at least one: \"127.0.0.1:8080\", "
                                   "\"[::1]:8080\", \"*:8080\", \"unix:/path\"."),
    [CONF_SECTION_TLS] = {.id = "listen.tls",
                          .parent = "listen",
                          .name = "tls",
                          .help = "Makes the listener speak TLS 1.2 and 1.3, and nothing else.",
                          .owner = CONF_OWNER_conf_listen,
                          .flag = offsetof(struct conf_listen, tls)},
    [CONF_SECTION_STORE] = PLAIN("store", "Where messages are kept, and how safely."),
    [CONF_SECTION_PUBLISH] = PLAIN("publish", "Taking messages in."),
    [CONF_SECTION_TOKEN_KEY] = TITLED("token_key", kid, 64, conf_token_key, token_keys,
                                      "Keys of bootstrap tokens (JWT); the title is the kid."),
    [CONF_SECTION_API_KEY] = TITLED("api_key", name, 1000, conf_api_key, api_keys,
                                    "Keys of backends; `restante key` makes one."),
    [CONF_SECTION_SESSION] = PLAIN("session", "Sessions and their mailboxes."),
    [CONF_SECTION_NAMESPACE] =
        TITLED("namespace", pattern, 1000, conf_namespace, namespaces,
               "What topics there are: the title is a topic, or a prefix and *."),
    [CONF_SECTION_LIMITS] = PLAIN("limits", "What one client may cost."),
    [CONF_SECTION_TOPICS] = PLAIN("topics", "All topics together."),
    [CONF_SECTION_SHM] = PLAIN("shm", "Shared memory between the processes."),
    [CONF_SECTION_CORS] = PLAIN("cors", "Pages of other origins."),
    [CONF_SECTION_PHOENIX] =
        PLAIN("phoenix", "Phoenix Channels clients, which this version does not serve."),
    [CONF_SECTION_SERVER] = PLAIN("server", "The processes."),
    [CONF_SECTION_LOG] = PLAIN("log", "What is written down."),
};

const struct conf_setting *conf_setting_find(const char *section, const char *name)
{
    for (size_t i = 0; i < CONF_SETTINGS; i++)
        if (strcmp(conf_settings[i].section, section) == 0 &&
            strcmp(conf_settings[i].name, name) == 0)
            return &conf_settings[i];
    return NULL;
}

const struct conf_section *conf_section_find(const char *parent, const char *name)
{
    for (size_t i = CONF_SECTION_TOP + 1; i < CONF_SECTIONS; i++)
        if (strcmp(conf_sections[i].parent, parent) == 0 &&
            strcmp(conf_sections[i].name, name) == 0)
            return &conf_sections[i];
    return NULL;
}

/* The arrays have different types, so their pointers are moved as bytes. */
static char *array_of(const struct conf *c, const struct conf_section *s)
{
    char *array;

    memcpy(&array, conf_field(c, s->array), sizeof(array));
    return array;
}

size_t conf_items(const struct conf *c, const struct conf_section *s)
{
    return *(const size_t *)conf_field(c, s->number);
}

void *conf_item(const struct conf *c, const struct conf_section *s, size_t i)
{
    return array_of(c, s) + i * s->size;
}

void *conf_item_add(struct conf *c, const struct conf_section *s)
{
    size_t *n = conf_field(c, s->number);

    must(*n < s->max);
    char *array = reallocarray(array_of(c, s), *n + 1, s->size);

    if (!array)
        return NULL;
    memcpy(conf_field(c, s->array), &array, sizeof(array));
    memset(array + *n * s->size, 0, s->size);
    (*n)++;
    return array + (*n - 1) * s->size;
}

char **conf_item_title(void *item, const struct conf_section *s)
{
    return conf_field(item, s->title_at);
}

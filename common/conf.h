/* conf - the configuration: one table, one reader, one report of everything that is wrong.
 *
 * conf_load never changes anything but *ret and the report. A conf owns all its strings (freed by
 * conf_free) and is read-only after load; paths in it are absolute. Every process loads it from the
 * same bytes (the supervisor hands them on). Grammar: `name = value`, `section { ... }`,
 * `section "title" { ... }`, `#` and `//` comments to the end of the line and C comments, lists
 * `{ "a", "b" }`, strings in double quotes (\" \\ \n \t; `${` is refused) or single quotes, bare
 * words of letters, digits and `_ . - + / :`.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include "common/buf.h"

#include <stdint.h>

enum { CONF_DISK, CONF_MEMORY };        /* store_durability */
enum { CONF_REFUSE, CONF_DROP_OLDEST }; /* mailbox_overflow */

struct conf_listen { /* listen "127.0.0.1:8080" { } */
    char *address;   /* as written: "127.0.0.1:8080", "[::1]:8080", "unix:/path" */
    bool tls;        /* a tls section stands inside */
    char *certificate, *key;
    int line;
};

enum conf_alg { CONF_HS256 };

struct conf_token_key { /* token_key "main" { secret = "..." } */
    char *kid;
    enum conf_alg algorithm;
    unsigned char *secret; /* at least 32 bytes */
    size_t secret_len;
    int line;
};

struct conf_api_key { /* api_key "backend" { sha256 = "..." scopes = { ... } } */
    char *name;
    unsigned char sha256[32];
    char **scopes; /* "sessions:*", "send:*", "publish:<pattern>", "read:<pattern>", "admin" */
    size_t nscopes;
    int line;
};

struct conf_namespace { /* namespace "chat:*" { ... } */
    char *pattern;
    uint64_t history, bytes, ttl_ms; /* messages, bytes, milliseconds; history 0: all ephemeral */
    bool presence, client_publish, join_claim, latest;
    int on_push; /* index into broadcast|broadcast_self|mailbox|ack|deny */
    int line;
};

struct conf {
#define CONF_FIELD_STRING char *
#define CONF_FIELD_BOOL bool
#define CONF_FIELD_COUNT uint64_t
#define CONF_FIELD_SIZE uint64_t     /* bytes */
#define CONF_FIELD_DURATION uint64_t /* milliseconds */
#define CONF_FIELD_ENUM int          /* index into the choices */
#define CONF_FIELD_WORKERS uint64_t  /* auto is resolved at load */
#define CONF(field, type, ...) CONF_FIELD_##type field;
#include "common/conf_table.h"
#undef CONF
    struct conf_listen *listens;
    size_t nlistens;
    struct conf_token_key *token_keys;
    size_t ntoken_keys;
    struct conf_api_key *api_keys;
    size_t napi_keys;
    struct conf_namespace *namespaces;
    size_t nnamespaces;
    char **cors_origins;
    size_t ncors_origins;
};

/* Parses text as the file `path` (for messages, relative paths and secret_file). Every mistake is
 * one line in report: `path:line: name = value: what is wrong; allowed: ...; did you mean "...")`.
 * 0 and *ret, or -EINVAL with at least one line in report, or -ENOMEM. */
int conf_load(struct str text, const char *path, struct conf **ret, struct buf *report);
/* Reads the file (at most 1 MiB) into text. 0 or -errno. */
int conf_read_file(const char *path, struct buf *text);
void conf_free(struct conf *c);

/* The effective configuration as a file that conf_load accepts; secrets are written as "***" in a
 * comment. */
int conf_show(const struct conf *c, struct buf *out);
/* The sample file: every setting with its default, unit, range, help; commented out. */
int conf_sample(struct buf *out);

/* True when the key has the scope: kind "send", "sessions", "publish", "read", "admin"; name is
 * matched by the pattern after the colon ("" for admin). */
bool conf_key_allows(const struct conf_api_key *k, const char *kind, struct str name);
const struct conf_namespace *conf_namespace_of(const struct conf *c,
                                               struct str topic); /* or NULL */

#endif

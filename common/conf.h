/* conf - the configuration: one table, one reader, one report of everything that is wrong.
 *
 * conf_load never changes anything but *ret and the report. A conf owns all its strings (freed by
 * conf_free) and is read-only after load; paths in it are absolute (relative ones start at the
 * directory of the configuration file). Every process loads it from the same bytes (the supervisor
 * hands them on); load reads the files that `secret_file` and `tls` sections name, nothing else.
 *
 * Grammar: `name = value`, `section { ... }`, `section "title" { ... }`, lists `{ "a", "b" }`.
 * White space and line ends only separate. Strings stand in double quotes (\" \\ \n \t \$; `${` is
 * refused, so that nobody expects a variable) or single quotes (no escapes), within one line; bare
 * words are letters, digits and `_ . - + / :`. Comments are `#` and `//` to the end of the line and
 * C comments; `//` inside a bare word is part of it (`https://a`).
 * Secrets: `secret_file` is at most 4 KiB; one line end after the secret is taken off.
 */
#ifndef COMMON_CONF_H
#define COMMON_CONF_H

#include "common/buf.h"

#include <stdint.h>

enum { CONF_DISK, CONF_MEMORY };        /* store_durability */
enum { CONF_REFUSE, CONF_DROP_OLDEST }; /* mailbox_overflow */

#define CONF_CERTIFICATES_MAX 100 /* of one listener */

struct conf_listen { /* listen "127.0.0.1:8080" { } */
    char *address;   /* "127.0.0.1:8080", "[::1]:8080", "*:8080", "unix:/path": address.h */
    bool tls;        /* a tls section stands inside */
    char **certificate, **key; /* files; those of one position belong together */
    size_t ncertificate, nkey;
    struct certificate **certificates; /* as they were read; the first is the default */
    size_t ncertificates;              /* 1..CONF_CERTIFICATES_MAX with tls, else 0 */
    int line;
};

enum conf_alg { CONF_HS256 };

struct conf_token_key { /* token_key "main" { secret = "..." } */
    char *kid;
    int algorithm;         /* enum conf_alg */
    unsigned char *secret; /* at least 32 bytes; NUL-terminated, the NUL not counted */
    size_t secret_len;
    char *secret_file; /* where it was read from; NULL: it stands in the configuration */
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
#define CONF_FIELD_PATH char * /* absolute, or "" where that has a meaning */
#define CONF_FIELD_BOOL bool
#define CONF_FIELD_COUNT uint64_t
#define CONF_FIELD_SIZE uint64_t     /* bytes */
#define CONF_FIELD_RING uint64_t     /* bytes, a power of two */
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
    char **phoenix_mounts; /* "/socket"; for the Phoenix transports */
    size_t nphoenix_mounts;
    char **phoenix_check_origin; /* empty: every origin */
    size_t nphoenix_check_origin;
};

#define CONF_FILE_MAX (1024 * 1024) /* bytes of a configuration file */

/* Parses text as the file `path` (for messages, relative paths and secret_file). Every mistake is
 * one line in report, in the order of the file, at most CONF_REPORT_MAX of them and then one that
 * counts the rest:
 *
 *   path:line: name = "value": what is wrong; allowed: ...; did you mean "..."?
 *
 * Mistakes that are only warnings say so ("warning: ...") and let the configuration pass.
 * Parts that do not apply are left out; the line is 0 where a thing is missing from the whole file;
 * secrets are shown as ***. A syntax error is the last line: what follows it is not judged.
 * 0 and *ret (there may be warnings in report), or -EINVAL with at least one line in report (when
 * report had room for one), or -ENOMEM. store_path is resolved: never empty after load. */
#define CONF_REPORT_MAX 1000
int conf_load(struct str text, const char *path, struct conf **ret, struct buf *report);
/* Appends the file to text. 0, -EFBIG (more than CONF_FILE_MAX), -ENOMEM, or what open and read
 * say; text is unchanged in length on failure. */
int conf_read_file(const char *path, struct buf *text);
void conf_free(struct conf *c); /* wipes the secrets; NULL is allowed */

/* The effective configuration as a file that conf_load accepts and that gives the same values, with
 * one exception: a token_key whose secret stands in the configuration is written as a comment, with
 * "***" for the secret. 0, -EMSGSIZE or -ENOMEM. */
int conf_show(const struct conf *c, struct buf *out);
/* The sample file: every setting with its default, unit, range, help, all commented out; without
 * the leading "# " of each line it is a configuration with the defaults. 0, -EMSGSIZE, -ENOMEM. */
int conf_sample(struct buf *out);

/* True when the key has the scope: kind "send", "sessions", "publish", "read", "admin"; name is
 * matched by the pattern after the colon ("" for admin). */
bool conf_key_allows(const struct conf_api_key *k, const char *kind, struct str name);
const struct conf_namespace *conf_namespace_of(const struct conf *c,
                                               struct str topic); /* or NULL */

#endif

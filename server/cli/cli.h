/* cli - what the verbs of the `restante` command share.
 *
 * A verb is one file verb_<name>.c with one entry of verb_f. It parses its own options, talks to
 * the server through cli_request and returns an exit code of enum cli_exit. Process: the command.
 */
#ifndef SERVER_CLI_CLI_H
#define SERVER_CLI_CLI_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/json.h"

#include <stdint.h>

/* Documented in --help; scripts rely on them. */
enum cli_exit {
    CLI_OK = 0,
    CLI_REFUSED = 1,     /* the server said no; its code is on standard error */
    CLI_USAGE = 2,       /* the command line is wrong */
    CLI_UNREACHABLE = 3, /* no server, or it did not answer in time */
    CLI_ENVIRONMENT = 4, /* a file, a configuration, memory; a server that is not trusted */
    CLI_DAMAGED = 5,     /* verify found violations */
};

struct option; /* getopt.h */
struct http;   /* http.c: one libcurl handle, kept alive */

struct cli {
    const char *config; /* --config, or NULL */
    const char *url;    /* --url, RESTANTE_URL */
    const char *key;    /* --key, RESTANTE_KEY */
    const char
        *cacert;   /* --cacert, RESTANTE_CACERT: PEM file of whom to trust; NULL: the system's */
    bool insecure; /* --insecure: an https server may be anybody */
    struct http *http;
};

typedef int verb_f(struct cli *c, int argc, char **argv);
verb_f verb_token, verb_key, verb_session, verb_send, verb_publish, verb_topic, verb_presence,
    verb_tail, verb_status, verb_rotate, verb_verify;

struct response {
    long status;
    struct buf body;
    char cursor[64];        /* Restante-Cursor, or "" */
    unsigned retry_after_s; /* 0: none */
};
void response_init(struct response *r);
void response_free(struct response *r);

struct request {
    const char *method, *path; /* path with its query, percent-encoded */
    const char *content_type;  /* NULL: no body */
    struct str body;
    long timeout_ms; /* for all of it; 0: none */
};
/* Fills *ret (to be reused or freed). CLI_OK when any HTTP answer came, else CLI_UNREACHABLE,
 * CLI_USAGE or CLI_ENVIRONMENT (a server that is not trusted) with the reason in why (256 bytes).
 */
int cli_request(struct cli *c, const struct request *q, struct response *ret, char why[256]);
/* An answer that is read while it comes. */
struct streaming {
    const char *const *headers; /* more header lines, ended by NULL */
    /* Takes the bytes of a 200 in the response's place; false: no more are wanted. */
    bool (*on_bytes)(void *arg, struct str bytes);
    void *arg;
    long silence_ms; /* for how long none may come; 0: any time */
};
/* As cli_request, but a 200 that has begun is CLI_OK however it ends. */
int cli_stream(struct cli *c, const struct request *q, const struct streaming *how,
               struct response *ret, char why[256]);
/* The file of the certificates that make an https server trusted; NULL: nobody knows one. */
const char *cli_trust(const struct cli *c);
/* --url in parts. The strings are the caller's to free by cli_address_free. CLI_OK, or CLI_USAGE
 * with the reason in why. */
struct address {
    bool tls;
    char *host; /* without brackets */
    char *path; /* what stands before /v1, "" or "/..." without a slash at its end */
    int port;
};
int cli_address(const struct cli *c, struct address *ret, char why[256]);
void cli_address_free(struct address *a);
void cli_close(struct cli *c);

/* The verb's next option as getopt_long tells it; -1 at the end. */
int cli_option(int argc, char **argv, const struct option *options);

/* "restante: " and a line on standard error. */
void cli_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Prints the problem document's code and detail. Returns CLI_REFUSED. */
int cli_refused(const struct response *r);
/* One request that must succeed; complains and returns the exit code otherwise. */
int cli_must(struct cli *c, const struct request *q, struct response *ret);
/* Loads --config. CLI_OK, or complains. */
int cli_conf(struct cli *c, struct conf **ret);

/* Member of a JSON object; false when absent. */
bool cli_member(struct str object, const char *name, struct json_value *ret);
/* A string member decoded and NUL-terminated into ret; "" when absent. */
void cli_string(struct str object, const char *name, struct buf *ret);
/* Appends s percent-encoded as one path segment. */
void cli_encode(struct buf *b, const char *s);
/* Prints what a list holds, one a line; the server hands it out in pages. path: with its query, to
 * which "after" can be added; member: the array's name. */
int cli_list(struct cli *c, const char *path, const char *member);
/* The same, for who prints an item in a way of its own; its JSON text is valid during the call. */
int cli_each(struct cli *c, const char *path, const char *member, void (*on_item)(struct str item));
/* Sleeps for a retry: 100 ms doubling to 5 s, or the server's Retry-After, with jitter. */
void cli_back_off(unsigned attempt, unsigned retry_after_s);

#endif

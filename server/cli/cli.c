/* cli - complaints, configuration, JSON members: the small change of all verbs. */
#include "server/cli/cli.h"

#include "common/ids.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define LIST_TIMEOUT_MS 30000

int cli_option(int argc, char **argv, const struct option *options)
{
    return getopt_long(argc, argv, "", options, NULL);
}

void cli_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("restante: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
}

bool cli_member(struct str object, const char *name, struct json_value *ret)
{
    struct json_value whole;
    if (json_check(object, &whole) != 0 || whole.type != JSON_OBJECT)
        return false;
    struct json_iter it;
    json_iter_begin(&it, whole);
    struct str key;
    struct json_value value;
    while (json_next_member(&it, &key, &value))
        if (json_key_is(key, name)) {
            *ret = value;
            return true;
        }
    return false;
}

void cli_string(struct str object, const char *name, struct buf *ret)
{
    struct json_value v;
    buf_reset(ret);
    if (cli_member(object, name, &v) && v.type == JSON_STRING)
        json_string(v, ret);
    buf_append_c(ret, '\0');
}

int cli_refused(const struct response *r)
{
    struct buf code, detail;
    buf_init(&code, 256);
    buf_init(&detail, 4096);
    cli_string(buf_str(&r->body), "code", &code);
    cli_string(buf_str(&r->body), "detail", &detail);
    const char *c = code.data && code.data[0] ? (const char *)code.data : "no problem document";
    const char *d = detail.data && detail.data[0] ? (const char *)detail.data : "";
    cli_error("refused: %ld %s%s%s", r->status, c, d[0] ? ": " : "", d);
    buf_free(&code);
    buf_free(&detail);
    return CLI_REFUSED;
}

int cli_must(struct cli *c, const struct request *q, struct response *ret)
{
    char why[256];
    int rc = cli_request(c, q, ret, why);
    if (rc != CLI_OK) {
        cli_error("%s", why);
        return rc;
    }
    return ret->status / 100 == 2 ? CLI_OK : cli_refused(ret);
}

static void print_line(struct str one)
{
    fwrite(one.p, 1, one.n, stdout);
    putchar('\n');
}

int cli_list(struct cli *c, const char *path, const char *member)
{
    return cli_each(c, path, member, print_line);
}

int cli_each(struct cli *c, const char *path, const char *member, void (*on_item)(struct str item))
{
    struct buf page, after;
    buf_init(&page, 65536);
    buf_init(&after, 4096);
    struct response r;
    response_init(&r);
    int rc;
    do {
        buf_reset(&page);
        buf_append_z(&page, path);
        if (after.len > 1) {
            buf_append_z(&page, "&after=");
            cli_encode(&page, (const char *)after.data);
        }
        buf_append_c(&page, '\0');
        struct request q = {"GET", (const char *)page.data, NULL, STR(""), LIST_TIMEOUT_MS};
        rc = page.error ? CLI_USAGE : cli_must(c, &q, &r);
        struct json_value list, one;
        if (rc == CLI_OK && cli_member(buf_str(&r.body), member, &list) &&
            list.type == JSON_ARRAY) {
            struct json_iter it;
            json_iter_begin(&it, list);
            while (json_next_item(&it, &one))
                on_item(one.raw);
        }
        cli_string(buf_str(&r.body), "next", &after);
    } while (rc == CLI_OK && after.len > 1);
    response_free(&r);
    buf_free(&page);
    buf_free(&after);
    return rc;
}

int cli_conf(struct cli *c, struct conf **ret)
{
    if (!c->config) {
        cli_error("this needs --config FILE");
        return CLI_USAGE;
    }
    struct buf text, report;
    buf_init(&text, 1 << 20);
    buf_init(&report, 1 << 20);
    int err = conf_read_file(c->config, &text);
    if (err)
        cli_error("%s: %s", c->config, strerror(-err));
    else {
        err = conf_load(buf_str(&text), c->config, ret, &report);
        if (report.len)
            fwrite(report.data, 1, report.len, stderr);
    }
    buf_free(&text);
    buf_free(&report);
    return err ? CLI_ENVIRONMENT : CLI_OK;
}

void cli_encode(struct buf *b, const char *s)
{
    static const char unreserved[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789-._~";
    for (; *s; s++) {
        if (strchr(unreserved, *s))
            buf_append_c(b, *s);
        else
            buf_printf(b, "%%%02X", (unsigned char)*s);
    }
}

void cli_back_off(unsigned attempt, unsigned retry_after_s)
{
    uint64_t ms = 100ull << (attempt < 6 ? attempt : 6);
    if (ms > 5000)
        ms = 5000;
    if (retry_after_s && ms < retry_after_s * 1000ull)
        ms = retry_after_s * 1000ull;
    if (ms > 60000)
        ms = 60000;
    ms = ms / 2 + ids_random_u64() % (ms / 2 + 1);
    struct timespec ts = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
        ;
}

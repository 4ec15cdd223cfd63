/* http - requests by libcurl: one handle, so that the connection stays open between them. */
#include "server/cli/cli.h"

#include "common/clock.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define ANSWER_MAX (256u << 20)

struct http {
    CURL *curl;
};

void response_init(struct response *r)
{
    memset(r, 0, sizeof(*r));
    buf_init(&r->body, ANSWER_MAX);
}

void response_free(struct response *r)
{
    buf_free(&r->body);
}

struct transfer { /* one request on its way */
    CURL *curl;
    const struct streaming *how; /* NULL: an answer like any other */
    struct response *response;
    uint64_t heard_ms; /* boot clock: the last byte */
};

static bool is_streaming(const struct transfer *t)
{
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    return t->how && status == 200;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    bool taken = is_streaming(t) ? t->how->on_bytes(t->how->arg, str_make(p, size * n))
                                 : buf_append(&t->response->body, p, size * n) == 0;
    t->heard_ms = clock_boot_ms(); /* what taking it took is not the server's silence */
    return taken ? size * n : 0;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct transfer *t = arg;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return clock_boot_ms() > t->heard_ms + (uint64_t)t->how->silence_ms;
}

static struct str header_value(const char *line, size_t n, const char *name)
{
    size_t len = strlen(name);
    if (n <= len || strncasecmp(line, name, len) != 0 || line[len] != ':')
        return str_make(NULL, 0);
    const char *p = line + len + 1, *end = line + n;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
        end--;
    return str_make(p, (size_t)(end - p));
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct response *r = arg;
    struct str v = header_value(p, size * n, "Restante-Cursor");
    if (v.n && v.n < sizeof(r->cursor)) {
        memcpy(r->cursor, v.p, v.n);
        r->cursor[v.n] = '\0';
    }
    v = header_value(p, size * n, "Retry-After");
    if (v.n)
        r->retry_after_s = (unsigned)strtoul(v.p, NULL, 10);
    return size * n;
}

static int open_http(struct cli *c)
{
    if (c->http)
        return 0;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return -ENOMEM;
    struct http *h = calloc(1, sizeof(*h));
    if (!h)
        return -ENOMEM;
    h->curl = curl_easy_init();
    if (!h->curl) {
        free(h);
        return -ENOMEM;
    }
    c->http = h;
    return 0;
}

void cli_close(struct cli *c)
{
    if (!c->http)
        return;
    curl_easy_cleanup(c->http->curl);
    free(c->http);
    c->http = NULL;
    curl_global_cleanup();
}

const char *cli_trust(const struct cli *c)
{
    return c->cacert ? c->cacert : curl_version_info(CURLVERSION_NOW)->cainfo;
}

static char *part_of(CURLU *u, CURLUPart what, unsigned flags)
{
    char *part = NULL, *copy = NULL;
    if (curl_url_get(u, what, &part, flags) == CURLUE_OK)
        copy = strdup(part);
    curl_free(part);
    return copy;
}

int cli_address(const struct cli *c, struct address *ret, char why[256])
{
    *ret = (struct address){0};
    CURLU *u = curl_url();
    char *scheme = NULL, *port = NULL;
    if (u && c->url && curl_url_set(u, CURLUPART_URL, c->url, CURLU_DEFAULT_SCHEME) == CURLUE_OK) {
        scheme = part_of(u, CURLUPART_SCHEME, 0);
        port = part_of(u, CURLUPART_PORT, CURLU_DEFAULT_PORT);
        ret->host = part_of(u, CURLUPART_HOST, 0);
        ret->path = part_of(u, CURLUPART_PATH, 0);
    }
    curl_url_cleanup(u);
    bool good = scheme && port && ret->host && ret->path &&
                (strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0);
    if (good) {
        ret->tls = strcasecmp(scheme, "https") == 0;
        ret->port = (int)strtol(port, NULL, 10);
        for (size_t n = strlen(ret->path); n && ret->path[n - 1] == '/'; n--)
            ret->path[n - 1] = '\0';
        size_t n = strlen(ret->host);
        if (ret->host[0] == '[' && ret->host[n - 1] == ']') {
            memmove(ret->host, ret->host + 1, n - 2);
            ret->host[n - 2] = '\0';
        }
    } else {
        snprintf(why, 256, "no server: set RESTANTE_URL or give --url");
        cli_address_free(ret);
    }
    free(scheme);
    free(port);
    return good ? CLI_OK : CLI_USAGE;
}

void cli_address_free(struct address *a)
{
    free(a->host);
    free(a->path);
    *a = (struct address){0};
}

static void set_trust(CURL *h, const struct cli *c)
{
    if (c->cacert)
        curl_easy_setopt(h, CURLOPT_CAINFO, c->cacert);
    if (!c->insecure)
        return;
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
}

static int exit_of(CURLcode rc)
{
    switch (rc) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return CLI_USAGE;
    case CURLE_PEER_FAILED_VERIFICATION: /* trying again would not make it trusted */
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_OUT_OF_MEMORY:
        return CLI_ENVIRONMENT;
    default:
        return CLI_UNREACHABLE;
    }
}

static struct curl_slist *headers_of(const struct cli *c, const struct request *q,
                                     const struct streaming *how)
{
    struct buf line;
    buf_init(&line, 16384);
    struct curl_slist *list = NULL;
    if (c->key && c->key[0]) {
        buf_printf(&line, "Authorization: Bearer %s", c->key);
        buf_append_c(&line, '\0');
        if (!line.error)
            list = curl_slist_append(list, (const char *)line.data);
    }
    if (q->content_type) {
        buf_reset(&line);
        buf_printf(&line, "Content-Type: %s", q->content_type);
        buf_append_c(&line, '\0');
        if (!line.error)
            list = curl_slist_append(list, (const char *)line.data);
    }
    buf_free(&line);
    for (const char *const *more = how ? how->headers : NULL; more && *more; more++)
        list = curl_slist_append(list, *more);
    /* No Expect: the answer to a batch would cost a round trip more. */
    return curl_slist_append(list, "Expect:");
}

int cli_request(struct cli *c, const struct request *q, struct response *ret, char why[256])
{
    return cli_stream(c, q, NULL, ret, why);
}

int cli_stream(struct cli *c, const struct request *q, const struct streaming *how,
               struct response *ret, char why[256])
{
    if (!c->url || !c->url[0]) {
        snprintf(why, 256, "no server: set RESTANTE_URL or give --url");
        return CLI_USAGE;
    }
    if (open_http(c) != 0) {
        snprintf(why, 256, "libcurl cannot start");
        return CLI_ENVIRONMENT;
    }
    buf_reset(&ret->body);
    ret->cursor[0] = '\0';
    ret->retry_after_s = 0;
    ret->status = 0;

    struct buf url;
    buf_init(&url, 65536);
    size_t base = strlen(c->url);
    while (base && c->url[base - 1] == '/')
        base--;
    buf_append(&url, c->url, base);
    buf_append_z(&url, q->path);
    buf_append_c(&url, '\0');
    if (url.error) {
        buf_free(&url);
        snprintf(why, 256, "the URL is too long");
        return CLI_USAGE;
    }
    CURL *h = c->http->curl;
    char detail[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = headers_of(c, q, how);
    curl_easy_reset(h);
    curl_easy_setopt(h, CURLOPT_URL, (const char *)url.data);
    curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, q->method);
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    struct transfer t = {.curl = h, .how = how, .response = ret, .heard_ms = clock_boot_ms()};
    curl_easy_setopt(h, CURLOPT_WRITEDATA, &t);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, ret);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, q->timeout_ms);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "restante");
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, detail);
    set_trust(h, c);
    if (how && how->silence_ms) {
        curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(h, CURLOPT_XFERINFODATA, &t);
        curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    }
    if (q->content_type) {
        curl_easy_setopt(h, CURLOPT_POSTFIELDS, q->body.n ? q->body.p : "");
        curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.n);
    }
    CURLcode rc = curl_easy_perform(h);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, NULL);
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &ret->status);
    curl_slist_free_all(headers);
    buf_free(&url);
    bool begun = how && ret->status == 200;
    if ((rc != CURLE_OK && !begun) || ret->status == 0) {
        snprintf(why, 256, "%s", detail[0] ? detail : curl_easy_strerror(rc));
        return exit_of(rc);
    }
    return CLI_OK;
}

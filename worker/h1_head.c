/* h1_head - a clean header section as a request.
 *
 * The parser's callbacks only note views; the judgement runs over them afterwards. The parser is
 * told nothing about bodies: framing is derived here from the same header lines that are judged, so
 * there is one opinion about where a request ends.
 */
#include <http_parser.h>
#include <strings.h>

#include "worker/h1_head.h"
#include "worker/h1_scan.h"

static struct h1_head *head_of(http_parser *p)
{
    return p->data;
}

static int on_url(http_parser *p, const char *at, size_t n)
{
    head_of(p)->target = str_make(at, n);
    return 0;
}

static int on_header_field(http_parser *p, const char *at, size_t n)
{
    struct h1_head *h = head_of(p);
    if (h->nheaders == EXCHANGE_HEADERS)
        return 1;
    h->headers[h->nheaders++] = (struct header){.name = str_make(at, n)};
    return 0;
}

static int on_header_value(http_parser *p, const char *at, size_t n)
{
    struct h1_head *h = head_of(p);
    if (h->nheaders == 0)
        return 1;
    while (n && (at[n - 1] == ' ' || at[n - 1] == '\t'))
        n--;
    h->headers[h->nheaders - 1].value = str_make(at, n);
    return 0;
}

/* "Skip the body": what follows the header section is not the parser's. */
static int on_headers_complete(http_parser *p)
{
    (void)p;
    return 1;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
};

static bool name_is(struct str name, const char *lower, size_t n)
{
    return name.n == n && strncasecmp(name.p, lower, n) == 0;
}

static enum method method_of(unsigned number)
{
    switch (number) {
    case HTTP_GET:
        return METHOD_GET;
    case HTTP_HEAD:
        return METHOD_HEAD;
    case HTTP_POST:
        return METHOD_POST;
    case HTTP_PUT:
        return METHOD_PUT;
    case HTTP_PATCH:
        return METHOD_PATCH;
    case HTTP_DELETE:
        return METHOD_DELETE;
    case HTTP_OPTIONS:
        return METHOD_OPTIONS;
    default:
        return METHOD_OTHER;
    }
}

enum h1_fault h1_method(struct str text, enum method *ret)
{
    static const unsigned known[] = {
#define KNOWN(number, name, string) number,
        HTTP_METHOD_MAP(KNOWN)
#undef KNOWN
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (!str_is(text, http_method_str((enum http_method)known[i])))
            continue;
        if (known[i] == HTTP_CONNECT)
            return H1_CONNECT;
        *ret = method_of(known[i]);
        return H1_FINE;
    }
    return H1_METHOD;
}

/* Is `word` one of the comma-separated tokens? */
static bool list_has(struct str list, const char *word)
{
    size_t n = strlen(word), i = 0;
    while (i < list.n) {
        while (i < list.n && (list.p[i] == ' ' || list.p[i] == '\t' || list.p[i] == ','))
            i++;
        size_t from = i;
        while (i < list.n && list.p[i] != ',')
            i++;
        size_t to = i;
        while (to > from && (list.p[to - 1] == ' ' || list.p[to - 1] == '\t'))
            to--;
        if (to - from == n && strncasecmp(list.p + from, word, n) == 0)
            return true;
    }
    return false;
}

bool h1_host_valid(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("\"#/<>?@\\^`{|},", s.p[i]))
            return false;
    }
    return true;
}

static enum h1_fault length_parse(struct str s, uint64_t *ret)
{
    uint64_t v = 0;
    if (s.n == 0)
        return H1_LENGTH_INVALID;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return H1_LENGTH_INVALID;
        uint64_t digit = (uint64_t)(s.p[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return H1_LENGTH_INVALID;
        v = v * 10 + digit;
    }
    *ret = v;
    return H1_FINE;
}

/* What the header lines that govern the connection say. */
struct said {
    const struct str *host, *length, *encoding, *expect;
    bool close, keep_alive, upgrade_named, upgrade, websocket;
};

static enum h1_fault note(struct said *said, const struct header *h)
{
    struct str name = h->name;
    switch (name.n) {
    case 4:
        if (name_is(name, "host", 4)) {
            if (said->host)
                return H1_HOST_TWICE;
            said->host = &h->value;
        }
        return H1_FINE;
    case 6:
        if (name_is(name, "expect", 6)) {
            if (said->expect)
                return H1_EXPECT;
            said->expect = &h->value;
        }
        return H1_FINE;
    case 7:
        if (name_is(name, "upgrade", 7)) {
            said->upgrade = true;
            said->websocket = said->websocket || list_has(h->value, "websocket");
        }
        return H1_FINE;
    case 10:
        if (name_is(name, "connection", 10)) {
            said->close = said->close || list_has(h->value, "close");
            said->keep_alive = said->keep_alive || list_has(h->value, "keep-alive");
            said->upgrade_named = said->upgrade_named || list_has(h->value, "upgrade");
        }
        return H1_FINE;
    case 14:
        if (name_is(name, "content-length", 14)) {
            if (said->length)
                return H1_LENGTH_TWICE;
            said->length = &h->value;
        }
        return H1_FINE;
    case 17:
        if (name_is(name, "transfer-encoding", 17)) {
            if (said->encoding)
                return H1_TE_TWICE;
            said->encoding = &h->value;
        }
        return H1_FINE;
    default:
        return H1_FINE;
    }
}

static enum h1_fault judge_framing(struct h1_head *h, const struct said *said)
{
    if (said->encoding) {
        if (said->length)
            return H1_LENGTH_AND_TE;
        if (h->http10)
            return H1_TE_HTTP10;
        if (said->encoding->n != 7 || strncasecmp(said->encoding->p, "chunked", 7) != 0)
            return H1_TE_UNKNOWN;
        h->framing = H1_CHUNKED;
    } else if (said->length) {
        enum h1_fault f = length_parse(*said->length, &h->length);
        if (f != H1_FINE)
            return f;
        h->framing = h->length ? H1_LENGTH : H1_NO_BODY;
    }
    if (said->upgrade && said->upgrade_named && h->framing != H1_NO_BODY)
        return H1_UPGRADE_BODY;
    return H1_FINE;
}

static enum h1_fault judge_expect(struct h1_head *h, const struct said *said)
{
    if (!said->expect || h->http10)
        return H1_FINE;
    if (said->expect->n != 12 || strncasecmp(said->expect->p, "100-continue", 12) != 0)
        return H1_EXPECT;
    h->expect = h->framing != H1_NO_BODY;
    return H1_FINE;
}

static enum h1_fault judge_headers(struct h1_head *h)
{
    struct said said = {0};
    for (size_t i = 0; i < h->nheaders; i++) {
        enum h1_fault f = note(&said, &h->headers[i]);
        if (f != H1_FINE)
            return f;
    }
    h->keep_alive = !said.close && (!h->http10 || said.keep_alive);
    h->websocket = said.websocket && said.upgrade_named && !h->http10 && h->method == METHOD_GET;
    enum h1_fault f = judge_framing(h, &said);
    if (f != H1_FINE)
        return f;
    if (!said.host && !h->http10)
        return H1_HOST_MISSING;
    if (said.host && !h1_host_valid(*said.host))
        return H1_HOST_INVALID;
    return judge_expect(h, &said);
}

/* origin-form, absolute-form, `*` (RFC 9112 3.2). */
static enum h1_fault judge_target(struct h1_head *h)
{
    struct str t = h->target;
    if (t.n == 1 && t.p[0] == '*') {
        h->path = t;
        return h->method == METHOD_OPTIONS ? H1_FINE : H1_TARGET;
    }
    if (t.n && t.p[0] != '/') {
        size_t scheme = t.n > 7 && strncasecmp(t.p, "http://", 7) == 0    ? 7
                        : t.n > 8 && strncasecmp(t.p, "https://", 8) == 0 ? 8
                                                                          : 0;
        if (!scheme)
            return H1_TARGET;
        struct str rest = str_make(t.p + scheme, t.n - scheme);
        size_t authority = 0;
        while (authority < rest.n && rest.p[authority] != '/' && rest.p[authority] != '?')
            authority++;
        if (!authority || !h1_host_valid(str_make(rest.p, authority)))
            return H1_TARGET;
        t = str_make(rest.p + authority, rest.n - authority);
    }
    const char *mark = t.n ? memchr(t.p, '?', t.n) : NULL;
    h->path = str_make(t.p, mark ? (size_t)(mark - t.p) : t.n);
    h->query = mark ? str_make(mark + 1, t.n - h->path.n - 1) : str_make(NULL, 0);
    if (h->path.n == 0)
        h->path = STR("/");
    return H1_FINE;
}

enum h1_fault h1_head_parse(const char *data, size_t n, struct h1_head *ret)
{
    http_parser parser;
    struct h1_head *h = ret;
    h->nheaders = 0;
    h->keep_alive = h->expect = h->websocket = false;
    h->framing = H1_NO_BODY;
    h->length = 0;
    h->target = h->path = h->query = str_make(NULL, 0);
    h->method_text = str_make(data, (size_t)((const char *)memchr(data, ' ', n) - data));

    http_parser_set_max_header_size((uint32_t)n); /* the scan has bounded it */
    http_parser_init(&parser, HTTP_REQUEST);
    parser.data = h;
    size_t used = http_parser_execute(&parser, &settings, data, n);
    enum http_errno error = HTTP_PARSER_ERRNO(&parser);
    h->http10 = parser.http_minor == 0;
    /* The parser refuses some framing by itself; what it saw until then is judged with our words.
     */
    if (error == HPE_UNEXPECTED_CONTENT_LENGTH || error == HPE_INVALID_CONTENT_LENGTH) {
        enum h1_fault f = judge_headers(h);
        return f != H1_FINE ? f : H1_LENGTH_INVALID;
    }
    if (error == HPE_INVALID_METHOD)
        return H1_METHOD;
    if (error == HPE_INVALID_URL)
        return H1_TARGET;
    if (error != HPE_OK || used != n)
        return H1_REQUEST_LINE;

    if (parser.method == HTTP_CONNECT)
        return H1_CONNECT;
    h->method = method_of(parser.method);
    enum h1_fault f = judge_target(h);
    return f != H1_FINE ? f : judge_headers(h);
}

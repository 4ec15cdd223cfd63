/* rest_web - the small JavaScript client, and a page that shows it.
 *
 * Files of worker/web are part of the program (as in rest_openapi.c): what is served is what was
 * built. A browser keeps them and asks each time whether they are still the ones (ETag), so an
 * upgrade of the server is one of its clients. The client may be imported by pages of any origin
 * that may call us (cors.h); the page is for development and there only where server.example says
 * so. An ETag is computed for each answer: it costs less than sending the file.
 */
#include "worker/rest_priv.h"

#include "common/digest.h"
#include "common/ids.h"
#include "worker/worker.h"

#include <string.h>

#define FILE_TEXT(name, path)                                                                      \
    __asm__(".pushsection .rodata\n"                                                               \
            ".balign 8\n" #name "_size:\n"                                                         \
            ".quad 2f - 1f\n" #name "_text:\n"                                                     \
            "1: .incbin \"" path "\"\n"                                                            \
            "2:\n"                                                                                 \
            ".popsection\n");                                                                      \
    extern const uint64_t name##_size __attribute__((visibility("hidden")));                       \
    extern const char name##_text[] __attribute__((visibility("hidden")));

FILE_TEXT(web_client, "worker/web/restante.js")
FILE_TEXT(web_types, "worker/web/restante.d.ts")
FILE_TEXT(web_example, "worker/web/example.html")
FILE_TEXT(web_script, "worker/web/example.js")

#define COMMON_LINES                                                                               \
    "Cache-Control: no-cache\r\n"                                                                  \
    "X-Content-Type-Options: nosniff\r\n"                                                          \
    "Referrer-Policy: no-referrer\r\n"
#define LIBRARY_LINES COMMON_LINES "Cross-Origin-Resource-Policy: cross-origin\r\n"
#define PAGE_LINES                                                                                 \
    COMMON_LINES                                                                                   \
    "Cross-Origin-Resource-Policy: same-origin\r\n"                                                \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; "  \
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "                     \
    "frame-ancestors 'none'\r\n"

struct web_file {
    const char *path;
    const char *type;
    const char *text;
    const uint64_t *size;
    const char *lines; /* what browsers and caches are told */
    bool example;
};

static const struct web_file files[] = {
    {"/restante.js", "text/javascript; charset=utf-8", web_client_text, &web_client_size,
     LIBRARY_LINES "X-TypeScript-Types: /restante.d.ts\r\n", false},
    {"/restante.d.ts", "application/typescript; charset=utf-8", web_types_text, &web_types_size,
     LIBRARY_LINES, false},
    {"/example", "text/html; charset=utf-8", web_example_text, &web_example_size, PAGE_LINES, true},
    {"/example.js", "text/javascript; charset=utf-8", web_script_text, &web_script_size, PAGE_LINES,
     true},
};

/* Every route that comes here has its file. */
static const struct web_file *file_of(const struct exchange *ex)
{
    const struct web_file *file = files;
    while (strcmp(file->path, ex->route->pattern) != 0)
        file++;
    return file;
}

#define ETAG_BYTES 16
#define ETAG_TEXT (2 * ETAG_BYTES + 2) /* in quotes */

static struct str etag_of(const struct web_file *file, char text[ETAG_TEXT])
{
    uint8_t digest[DIGEST_SIZE];
    sha256(file->text, *file->size, digest);
    hex_encode(digest, ETAG_BYTES, text + 1);
    text[0] = text[ETAG_TEXT - 1] = '"';
    return str_make(text, ETAG_TEXT);
}

/* RFC 9110 13.1.2. Nothing but our own ETag holds so many digits in quotes, so where it stands in
 * the list, and whether as a weak one, does not matter. */
static bool is_there_already(const struct exchange *ex, struct str etag)
{
    struct str list = exchange_header(ex, "if-none-match");
    return str_is(list, "*") || (list.n && memmem(list.p, list.n, etag.p, etag.n));
}

void web_body(struct exchange *ex)
{
    const struct web_file *file = file_of(ex);
    if (file->example && !ex->worker->conf->server_example) {
        exchange_problem(ex, CODE_NOT_FOUND, 0, NULL);
        return;
    }
    char text[ETAG_TEXT];
    struct str etag = etag_of(file, text);
    ex->out_own_lines = true;
    buf_append_z(&ex->out_head, file->lines);
    exchange_add_header(ex, "ETag", etag);
    if (is_there_already(ex, etag)) {
        exchange_answer(ex, 304, NULL);
        return;
    }
    buf_append(&ex->out_body, file->text, *file->size);
    exchange_answer(ex, 200, file->type);
}

/* rest_openapi - the description of the API: etc/openapi.json, as part of the program.
 *
 * The assembler puts the file's bytes among the constants, so what is served is what was built, and
 * no file is opened after start.
 */
#include "worker/rest_priv.h"

__asm__(".pushsection .rodata\n"
        "openapi_begin:\n"
        ".incbin \"etc/openapi.json\"\n"
        "openapi_end:\n"
        ".popsection\n");

extern const char openapi_begin[] __attribute__((visibility("hidden")));
extern const char openapi_end[] __attribute__((visibility("hidden")));

void openapi_body(struct exchange *ex)
{
    buf_append(&ex->out_body, openapi_begin, (size_t)(openapi_end - openapi_begin));
    exchange_answer(ex, 200, JSON_TYPE);
}

/* rest_openapi - the description of the API: etc/openapi.json, as part of the program.
 *
 * The assembler puts the file's bytes among the constants, so what is served is what was built, and
 * no file is opened after start.
 */
#include "worker/rest_priv.h"

__asm__(".pushsection .rodata\n"
        ".balign 8\n"
        "openapi_size:\n"
        ".quad 2f - 1f\n"
        "openapi_text:\n"
        "1: .incbin \"etc/openapi.json\"\n"
        "2:\n"
        ".popsection\n");

extern const uint64_t openapi_size __attribute__((visibility("hidden")));
extern const char openapi_text[] __attribute__((visibility("hidden")));

void openapi_body(struct exchange *ex)
{
    buf_append(&ex->out_body, openapi_text, openapi_size);
    exchange_answer(ex, 200, JSON_TYPE);
}

/* code - stable error codes, one table for HTTP, rings, logs and metrics (RFC 9457 `code`).
 *
 * The numbers travel in shared-memory records between processes of one build; they are not a wire
 * format. Any process.
 */
#ifndef COMMON_CODE_H
#define COMMON_CODE_H

enum code {
    CODE_OK = 0,
#define CODE(name, status, text, title) CODE_##name,
#include "common/code_table.h"
#undef CODE
    CODE_COUNT
};

int code_status(enum code c);        /* HTTP status; 200 for CODE_OK, 500 out of range */
const char *code_text(enum code c);  /* "session_unknown"; "ok"; "internal" out of range */
const char *code_title(enum code c); /* static */

#endif

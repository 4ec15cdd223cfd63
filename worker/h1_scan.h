/* h1_scan - finds the end of a header section and judges its bytes (RFC 9112 sections 2 to 5).
 *
 * The header section is looked at in the order it arrives, each byte once, however it is cut into
 * pieces; only a section that is whole and clean goes to the parser. The parser of Debian is built
 * lenient (it takes bare LF, for one), so what two readers could understand differently is refused
 * here. Pure. Worker process.
 */
#ifndef WORKER_H1_SCAN_H
#define WORKER_H1_SCAN_H

#include "worker/h1_fault.h"

#include <stddef.h>
#include <stdint.h>

struct h1_scan {    /* all zero: at the beginning */
    uint32_t pos;   /* bytes judged */
    uint32_t line;  /* where the present line begins */
    uint16_t lines; /* complete lines before it */
    bool colon;     /* the present line has its colon */
};

enum h1_scan_result { H1_SCAN_MORE, H1_SCAN_WHOLE, H1_SCAN_BAD };

/* data is the section from its first byte on (n bytes so far; the same bytes as in the call before,
 * and more). limit: bytes of the whole section, its target at most half of it.
 * WHOLE: *ret_len bytes, the empty line included. BAD: *ret_fault. */
enum h1_scan_result h1_scan(struct h1_scan *s, const char *data, size_t n, size_t limit,
                            size_t *ret_len, enum h1_fault *ret_fault);

bool h1_is_token(const char *p, size_t n); /* RFC 9110 5.6.2; false when empty */

#endif

/* units - durations and sizes as people write them.
 *
 * Duration: a whole number with a unit of the table `ms s m h d`, or a bare whole number of
 * seconds. Size: a whole number with `K M G T` (powers of 1024), or bare bytes. No sign, no
 * fraction, no space. Any process.
 */
#ifndef COMMON_UNITS_H
#define COMMON_UNITS_H

#include "common/str.h"

#include <stdint.h>

int duration_parse(struct str s, uint64_t *ret_ms); /* 0, -EINVAL, -ERANGE on overflow */
int size_parse(struct str s, uint64_t *ret_bytes);  /* 0, -EINVAL, -ERANGE */

#define UNITS_TEXT 24
/* The shortest exact form: 90000 -> "90s", 3600000 -> "1h"; 65536 -> "64K". */
void duration_text(uint64_t ms, char ret[UNITS_TEXT]);
void size_text(uint64_t bytes, char ret[UNITS_TEXT]);

#endif

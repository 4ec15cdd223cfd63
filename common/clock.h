/* clock - the three clocks, and time as text.
 *
 * boot: CLOCK_BOOTTIME, shared by all processes, counts through suspend; leases, deadlines and
 * store time are deltas of it. wall: CLOCK_REALTIME, only for logs, token times and the start of
 * store time. Any process.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t clock_boot_ns(void);
uint64_t clock_boot_ms(void);
uint64_t clock_wall_ms(void); /* milliseconds since 1970 */

#define CLOCK_TEXT_SIZE 25 /* "2026-11-23T12:00:00.000Z" and NUL */
/* RFC 3339 in UTC with milliseconds. Years past 9999 are written as 9999-12-31T23:59:59.999Z. */
void clock_text(uint64_t wall_ms, char ret[CLOCK_TEXT_SIZE]);

#endif

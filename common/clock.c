/* clock - the three clocks, and time as text.
 *
 * The text is made by arithmetic, not by strftime: every message that is handed out carries one.
 */
#include <time.h>

#include "common/clock.h"
#include "common/log.h"

#define DAY_MS 86400000u
#define LAST_MS 253402300799999u /* 9999-12-31T23:59:59.999Z */

struct date {
    uint32_t year, month, day;
};

/* Gregorian date of a day number since 1970-01-01, counted in years that begin in March and eras of
 * 400 years, so that the leap day is the last of its year. */
static struct date date_of(uint32_t days)
{
    uint32_t z = days + 719468; /* days since 0000-03-01 */
    uint32_t era = z / 146097;
    uint32_t day_of_era = z % 146097;
    uint32_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint32_t march_month = (5 * day_of_year + 2) / 153;
    uint32_t month = march_month < 10 ? march_month + 3 : march_month - 9;
    return (struct date){
        .year = era * 400 + year_of_era + (month <= 2),
        .month = month,
        .day = day_of_year - (153 * march_month + 2) / 5 + 1,
    };
}

/* Writes v as `width` digits and then `after`; returns what follows. */
static char *put(char *p, uint32_t v, int width, char after)
{
    for (int i = width - 1; i >= 0; i--) {
        p[i] = (char)('0' + v % 10);
        v /= 10;
    }
    p[width] = after;
    return p + width + 1;
}

static struct timespec now(clockid_t clock)
{
    struct timespec ts;
    must(clock_gettime(clock, &ts) == 0);
    return ts;
}

uint64_t clock_boot_ns(void)
{
    struct timespec ts = now(CLOCK_BOOTTIME);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t clock_boot_ms(void)
{
    return clock_boot_ns() / 1000000;
}

uint64_t clock_wall_ms(void)
{
    struct timespec ts = now(CLOCK_REALTIME);
    if (ts.tv_sec < 0)
        return 0; /* a clock set before 1970 */
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void clock_text(uint64_t wall_ms, char ret[CLOCK_TEXT_SIZE])
{
    uint64_t ms = wall_ms < LAST_MS ? wall_ms : LAST_MS;
    struct date d = date_of((uint32_t)(ms / DAY_MS));
    uint32_t rest = (uint32_t)(ms % DAY_MS);

    char *p = put(ret, d.year, 4, '-');
    p = put(p, d.month, 2, '-');
    p = put(p, d.day, 2, 'T');
    p = put(p, rest / 3600000, 2, ':');
    p = put(p, rest / 60000 % 60, 2, ':');
    p = put(p, rest / 1000 % 60, 2, '.');
    p = put(p, rest % 1000, 3, 'Z');
    *p = '\0';
}

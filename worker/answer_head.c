/* answer_head - one policy of header lines, so that no two HTTP versions can differ in it. */
#include <stdio.h>
#include <time.h>

#include "common/clock.h"

#include "worker/answer_head.h"

/* Written out by hand: strftime would follow the locale. */
const char *answer_date(struct answer_date *d)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint64_t now_s = clock_wall_ms() / 1000;
    if (now_s == d->second)
        return d->text;
    time_t t = (time_t)now_s;
    struct tm tm;
    if (gmtime_r(&t, &tm))
        snprintf(d->text, sizeof(d->text), "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
                 days + tm.tm_wday * 3, (unsigned)tm.tm_mday % 100, months + tm.tm_mon * 3,
                 (unsigned)(tm.tm_year + 1900) % 10000, (unsigned)tm.tm_hour % 100,
                 (unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100);
    d->second = now_s;
    return d->text;
}

void answer_head(struct buf *out, struct answer_date *d, const struct exchange *ex, bool sized)
{
    buf_append_str(out, STR("Date: "));
    buf_append_z(out, answer_date(d));
    buf_append_str(out, STR("\r\nServer: restante\r\n"));
    if (!ex->out_own_lines)
        buf_append_str(out, STR("Cache-Control: no-store\r\n"));
    buf_append_str(out, STR("X-Request-Id: "));
    buf_append_z(out, ex->request_id);
    buf_append_str(out, STR("\r\n"));
    bool bodiless = answer_bodiless(ex->out_status);
    if (ex->out_type && !bodiless) {
        buf_append_str(out, STR("Content-Type: "));
        buf_append_z(out, ex->out_type);
        buf_append_str(out, STR("\r\n"));
    }
    buf_append_str(out, buf_str(&ex->out_head));
    if (!sized || bodiless)
        return;
    buf_append_str(out, STR("Content-Length: "));
    buf_append_u64(out, ex->out_body.len);
    buf_append_str(out, STR("\r\n"));
}

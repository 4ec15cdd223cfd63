/* h1_fuzz - request bytes, cut into pieces by the input itself: the verdict is the same however
 * they are cut, views stay inside the section, and a chunked body gives the same bytes. */
#include <stdlib.h>

#include "common/log.h"
#include "worker/h1_chunk.h"
#include "worker/h1_head.h"
#include "worker/h1_scan.h"

#define HEAD_LIMIT 16384

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* step 0: all at once */
static enum h1_scan_result scan(const char *p, size_t n, size_t step, size_t *ret_len,
                                enum h1_fault *ret_fault)
{
    struct h1_scan s = {0};
    enum h1_scan_result r = H1_SCAN_MORE;
    for (size_t have = step ? step : n; r == H1_SCAN_MORE; have += step) {
        size_t now = have < n ? have : n;
        r = h1_scan(&s, p, now, HEAD_LIMIT, ret_len, ret_fault);
        if (now == n)
            break;
    }
    return r;
}

static bool inside(struct str s, const char *p, size_t n)
{
    return s.n == 0 || (s.p >= p && s.p + s.n <= p + n);
}

static void judge_head(const char *p, size_t n)
{
    struct h1_head h;
    if (h1_head_parse(p, n, &h) != H1_FINE)
        return;
    must(h.nheaders <= EXCHANGE_HEADERS);
    must(inside(h.target, p, n) && inside(h.path, p, n) && inside(h.query, p, n));
    for (size_t i = 0; i < h.nheaders; i++) {
        must(inside(h.headers[i].name, p, n) && inside(h.headers[i].value, p, n));
        must(h1_is_token(h.headers[i].name.p, h.headers[i].name.n));
        must(!memchr(h.headers[i].value.p, '\n', h.headers[i].value.n));
    }
}

/* Decodes in pieces of step bytes; a sum over the body, and the verdict. */
static enum h1_piece dechunk(const char *p, size_t n, size_t step, uint64_t *ret_sum,
                             size_t *ret_end)
{
    struct h1_chunk k;
    h1_chunk_init(&k, 1024);
    uint64_t sum = 0;
    size_t at = 0;
    while (at < n) {
        size_t have = n - at < step ? n - at : step, used = 0;
        struct str piece = {0};
        enum h1_fault fault;
        enum h1_piece r = h1_chunk_next(&k, p + at, have, &used, &piece, &fault);
        must(used <= have);
        if (r == H1_PIECE_DATA) {
            must(inside(piece, p + at, have));
            for (size_t i = 0; i < piece.n; i++)
                sum = sum * 31 + (unsigned char)piece.p[i] + 1;
        }
        at += used;
        if (r == H1_PIECE_END || r == H1_PIECE_BAD) {
            *ret_sum = r == H1_PIECE_END ? sum : 0;
            *ret_end = r == H1_PIECE_END ? at : 0;
            return r;
        }
        must(used > 0 || r != H1_PIECE_NONE);
    }
    *ret_sum = sum;
    *ret_end = at;
    return H1_PIECE_NONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    size_t step = 1 + data[0] % 32, whole = 0, len = 0;
    const char *p = (const char *)data + 1;
    enum h1_fault f1 = H1_FINE, f2 = H1_FINE;
    n--;
    enum h1_scan_result once = scan(p, n, 0, &whole, &f1), cut = scan(p, n, step, &len, &f2);
    must(once == cut && (once != H1_SCAN_BAD || f1 == f2));
    if (once == H1_SCAN_WHOLE) {
        must(whole == len && whole <= n);
        judge_head(p, whole);
    }
    uint64_t a, b;
    size_t end_a, end_b;
    enum h1_piece all = dechunk(p, n, n, &a, &end_a), parts = dechunk(p, n, step, &b, &end_b);
    must(all == parts && a == b && end_a == end_b);
    return 0;
}

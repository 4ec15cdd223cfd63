/* conf_fuzz - any text as a configuration file. What loads is shown, and what is shown must load
 * and say the same; what does not load must say why, one whole line a mistake.
 */
#include <errno.h>

#include "common/conf.h"
#include "common/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Shows c, loads that, and shows it again. Keys whose secret stood in the file are comments in the
 * first text and gone from the second. */
static void show_twice(const struct conf *c)
{
    struct conf *again = NULL;
    struct buf a, b, report;

    buf_init(&a, 8 * CONF_FILE_MAX);
    buf_init(&b, 8 * CONF_FILE_MAX);
    buf_init(&report, 65536);
    must(conf_show(c, &a) == 0);
    if (a.len <= CONF_FILE_MAX) {
        must(conf_load(buf_str(&a), "/other/r.conf", &again, &report) == 0);
        must(conf_show(again, &b) == 0);
        must(b.len <= a.len && (b.len < a.len) == (again->ntoken_keys < c->ntoken_keys));
        must(b.len < a.len || memcmp(a.data, b.data, a.len) == 0);
    }
    conf_free(again);
    buf_free(&a);
    buf_free(&b);
    buf_free(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *c = NULL;
    struct buf report;

    buf_init(&report, 4 * CONF_FILE_MAX);
    int rc = conf_load(str_make(data, size), "/etc/r/r.conf", &c, &report);
    must(rc == 0 || rc == -EINVAL);
    must((rc == 0) == (c != NULL));
    must((rc == 0) == (report.len == 0));
    must(rc == 0 || report.data[report.len - 1] == '\n');
    if (c)
        show_twice(c);
    conf_free(c);
    buf_free(&report);
    return 0;
}

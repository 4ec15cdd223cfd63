/* conf_fuzz - the configuration reader on arbitrary bytes: a refusal always says why, and what is
 * accepted can be shown. */
#include <errno.h>
#include <stdlib.h>

#include "common/conf.h"
#include "common/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct conf *conf = NULL;
    struct buf report, shown;
    buf_init(&report, 4u << 20);
    buf_init(&shown, 4u << 20);
    int rc = conf_load(str_make((const char *)data, n), "/nowhere/fuzz.conf", &conf, &report);
    if (rc == -EINVAL)
        must(conf == NULL && report.len > 0);
    if (rc == 0) {
        must(conf != NULL);
        must(conf_show(conf, &shown) == 0);
    }
    conf_free(conf);
    buf_free(&report);
    buf_free(&shown);
    return 0;
}

/* writer - the only process that writes the store. No network. One transaction per batch. */
#ifndef SHM_WRITER_WRITER_H
#define SHM_WRITER_WRITER_H

#include "common/conf.h"
#include "shm/heritage.h"

/* Role entry, after exec. Returns the exit status. */
int writer_main(const struct heritage *h, struct conf *conf);

#endif

/* exchange_log - the one line that a request leaves in the log. Worker process. */
#ifndef WORKER_EXCHANGE_LOG_H
#define WORKER_EXCHANGE_LOG_H

struct exchange;

/* At info, when the exchange ends. gone: the peer left first. Costs one comparison when the level
 * is higher. */
void exchange_log(const struct exchange *ex, bool gone);

#endif

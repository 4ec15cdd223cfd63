/* backoff - see backoff.h. Two counters, because they answer two questions: short lives, however
 * they ended, must not become a busy loop; but only failures of the role's own making say that the
 * next start is going to fail as well.
 */
#include "server/backoff.h"

uint64_t backoff_after(struct backoff *b, const struct life *l)
{
    uint64_t delay = BACKOFF_FIRST_MS;

    if (l->served)
        b->failed = 0;
    else if (l->own_fault && b->failed < UINT32_MAX)
        b->failed++;

    if (l->served && l->uptime_ms >= BACKOFF_STEADY_MS)
        b->deaths = 0;
    else if (b->deaths < UINT32_MAX)
        b->deaths++;

    if (b->deaths <= 1)
        return 0;
    for (uint32_t i = 2; i < b->deaths && delay < BACKOFF_MAX_MS; i++)
        delay *= 2;
    return delay < BACKOFF_MAX_MS ? delay : BACKOFF_MAX_MS;
}

bool backoff_hopeless(const struct backoff *b, bool ever_ready)
{
    return b->failed >= (ever_ready ? BACKOFF_GIVE_UP : BACKOFF_GIVE_UP_FIRST);
}

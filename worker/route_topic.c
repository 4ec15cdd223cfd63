/* route_topic - the topics that some pick-up of this worker is subscribed to.
 *
 * A topic is known here from its first reader to its last: its name as text, made once for all
 * messages, and who reads it. Joining and leaving cost the same whatever the number of readers.
 */
#include "worker/route_priv.h"

#include <stdlib.h>

static const char prefix[] = "topic:";

struct route_topic *topic_known(const struct route *r, uint64_t stream)
{
    return (struct route_topic *)stream_table_first(&r->topics, stream);
}

static struct route_topic *make(struct route *r, uint64_t stream, struct str name)
{
    size_t n = sizeof(prefix) - 1 + name.n;
    struct route_topic *topic = malloc(sizeof(*topic) + n);
    if (!topic)
        return NULL;
    const struct conf_namespace *ns = conf_namespace_of(r->parts.conf, name);
    topic->entry.stream = stream;
    topic->age_ms = ns ? ns->ttl_ms : 0;
    LIST_INIT(&topic->readers);
    topic->n = (uint16_t)n;
    memcpy(topic->text, prefix, sizeof(prefix) - 1);
    memcpy(topic->text + sizeof(prefix) - 1, name.p, name.n);
    stream_table_add(&r->topics, &topic->entry);
    return topic;
}

struct topic_subscription *topic_subscribe(struct pickup *p, uint64_t stream, struct str name,
                                           uint64_t join)
{
    uint64_t begin = join > p->cursor ? join : p->cursor;
    struct topic_subscription *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    struct route_topic *topic = topic_known(p->route, stream);
    if (!topic)
        topic = make(p->route, stream, name);
    if (!topic) {
        free(s);
        return NULL;
    }
    s->s = (struct subscription){.pickup = p, .topic = topic, .chain = {.begin = begin}};
    s->join = join;
    LIST_INSERT_HEAD(&topic->readers, s, reader);
    return s;
}

void topic_unsubscribe(struct topic_subscription *s)
{
    struct route_topic *topic = s->s.topic;
    LIST_REMOVE(s, reader);
    if (LIST_EMPTY(&topic->readers)) {
        stream_table_remove(&s->s.pickup->route->topics, &topic->entry);
        free(topic);
    }
    free(s);
}

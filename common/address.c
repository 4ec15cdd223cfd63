/* address - see address.h. The split is at the last colon, so that the colons of an IPv6 address
 * stay inside its brackets; inet_pton judges the rest, because it accepts no short forms.
 */
#include <arpa/inet.h>
#include <errno.h>

#include "common/address.h"

static int port_parse(struct str s, uint16_t *ret)
{
    uint32_t v = 0;

    if (s.n == 0 || s.n > 5 || (s.n > 1 && s.p[0] == '0'))
        return -EINVAL;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -EINVAL;
        v = v * 10 + (uint32_t)(s.p[i] - '0');
    }
    if (v > UINT16_MAX)
        return -EINVAL;
    *ret = (uint16_t)v;
    return 0;
}

static int host_parse(struct str host, struct address *a)
{
    char z[INET6_ADDRSTRLEN];
    int family = AF_INET;

    if (str_is(host, "*")) {
        a->kind = ADDRESS_ANY;
        return 0;
    }
    a->kind = ADDRESS_IPV4;
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        a->kind = ADDRESS_IPV6;
        family = AF_INET6;
        host = str_make(host.p + 1, host.n - 2);
    }
    if (host.n == 0 || host.n >= sizeof(z) || memchr(host.p, 0, host.n))
        return -EINVAL;
    memcpy(z, host.p, host.n);
    z[host.n] = 0;
    return inet_pton(family, z, a->ip) == 1 ? 0 : -EINVAL;
}

int address_parse(struct str text, struct address *ret)
{
    static const struct str unix_prefix = {"unix:", 5};
    struct address a = {.kind = ADDRESS_UNIX};

    if (text.n > unix_prefix.n && memcmp(text.p, unix_prefix.p, unix_prefix.n) == 0) {
        a.path = str_make(text.p + unix_prefix.n, text.n - unix_prefix.n);
        if (a.path.n > ADDRESS_UNIX_MAX || memchr(a.path.p, 0, a.path.n))
            return -EINVAL;
        *ret = a;
        return 0;
    }
    const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
    if (!colon)
        return -EINVAL;
    size_t host_len = (size_t)(colon - text.p);
    int rc = port_parse(str_make(colon + 1, text.n - host_len - 1), &a.port);
    if (rc == 0)
        rc = host_parse(str_make(text.p, host_len), &a);
    if (rc == 0)
        *ret = a;
    return rc;
}

bool address_eq(const struct address *a, const struct address *b)
{
    return a->kind == b->kind && a->port == b->port && str_eq(a->path, b->path) &&
           memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

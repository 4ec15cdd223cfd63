/* address - the text of a listening address, judged and taken apart.
 *
 * "127.0.0.1:8080" (IPv4), "[::1]:8080" (IPv6), "*:8080" (every interface, both families),
 * "unix:/path". Numbers only: nothing is looked up. Ports are 0..65535 without leading zeros; 0
 * lets the kernel choose. A unix path fits sockaddr_un (at most 107 bytes). Pure; any process.
 */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include "common/str.h"

#include <stdint.h>

#define ADDRESS_UNIX_MAX 107 /* bytes of a path, sun_path less its NUL */

enum address_kind { ADDRESS_IPV4, ADDRESS_IPV6, ADDRESS_ANY, ADDRESS_UNIX };

struct address {
    enum address_kind kind;
    uint8_t ip[16]; /* network order; 4 bytes used by ADDRESS_IPV4, none by ADDRESS_ANY */
    uint16_t port;
    struct str path; /* ADDRESS_UNIX: points into the text */
};

int address_parse(struct str text, struct address *ret); /* 0 or -EINVAL */
/* The same place, however it was written. */
bool address_eq(const struct address *a, const struct address *b);

#endif

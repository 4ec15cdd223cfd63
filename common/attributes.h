/* attributes - merging a session's attributes (RFC 7396 on the top level only).
 *
 * Byte for byte: members that stay are copied, not re-rendered, so 64-bit numbers survive. Both
 * texts must have passed json_check as objects. Any process.
 */
#ifndef COMMON_ATTRIBUTES_H
#define COMMON_ATTRIBUTES_H

#include "common/buf.h"

/* Appends the merged compact object to out: members of base less those named in patch, then those
 * of patch that are not null, the last one where a name stands twice. base or patch may be empty
 * (= {}). 0; -EINVAL not objects; -EMSGSIZE past out->max; -ENOMEM. */
int attributes_merge(struct str base, struct str patch, struct buf *out);

#endif

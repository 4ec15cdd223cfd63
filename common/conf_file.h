/* conf_file - reading the small files that a configuration names: secrets, certificates, keys.
 *
 * Private to conf*.c.
 */
#ifndef COMMON_CONF_FILE_H
#define COMMON_CONF_FILE_H

#include "common/buf.h"

/* Appends the file to text, whose ceiling is the file's. Only regular files, so that a load never
 * waits. 0, -ENOMEM, or -EINVAL with the reason in why. What was read is to be wiped by the caller
 * (conf_file_wipe). */
#define CONF_FILE_WHY 128
int conf_file_read(const char *path, struct buf *text, char why[CONF_FILE_WHY]);
void conf_file_wipe(struct buf *text); /* overwrites and frees */

#endif

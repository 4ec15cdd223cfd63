/* conf_value - one value: text to field (conf_value.c), field to text and what is allowed in words
 * (conf_wording.c), and lists (conf_list.c).
 *
 * Private to conf*.c. Pure, but for the memory of strings.
 */
#ifndef COMMON_CONF_VALUE_H
#define COMMON_CONF_VALUE_H

#include "common/conf_setting.h"

#define CONF_ALLOWED_TEXT 256
#define CONF_SECRET_MIN 32 /* bytes; RFC 7518 section 3.2 for HS256 */

/* Stores text in the setting's field of owner; what was there is freed. dir is where relative paths
 * start. 0; -EINVAL and *ret_wrong (static) when the text is not allowed; -ENOMEM. Not for LIST. */
int conf_value_store(const struct conf_setting *s, struct str text, const char *dir, void *owner,
                     const char **ret_wrong);
/* Stores the setting's default; nothing when it has none. LIST too. 0 or -ENOMEM. */
int conf_value_default(const struct conf_setting *s, const char *dir, void *owner);
void conf_value_free(const struct conf_setting *s, void *owner);
/* Appends the value as it may stand in a file; a SECRET as "***". */
void conf_value_show(const struct conf_setting *s, const void *owner, struct buf *out);
/* Appends a default text likewise. */
void conf_value_show_default(const struct conf_setting *s, struct buf *out);

/* What may stand there, for a person; brief where the units were explained. Return ret. */
const char *conf_value_allowed(const struct conf_setting *s, char ret[CONF_ALLOWED_TEXT]);
const char *conf_value_brief(const struct conf_setting *s, char ret[CONF_ALLOWED_TEXT]);
/* The choice nearest to text, or "". Returns ret. */
const char *conf_value_near(const struct conf_setting *s, struct str text, char *ret, size_t size);

/* text as an absolute path, to be freed; NULL when there is no memory. */
char *conf_path(const char *dir, struct str text);
/* Appends z as a string of the grammar. */
void conf_quote(struct buf *out, const char *z);
bool conf_has_control(struct str s); /* C0, DEL */

/* Lists. Each kind of item has its own form. */
/* NULL, or what is wrong with the item (static). */
const char *conf_list_item(const struct conf_setting *s, struct str item);
const char *conf_list_allowed(const struct conf_setting *s);
const char *conf_list_near(const struct conf_setting *s, struct str item, char *ret, size_t size);
/* NULL, or what is wrong with a pattern: `*` may stand at the end only. */
const char *conf_pattern_wrong(struct str s);
/* Its items are paths: dir is where relative ones start, and one of them needs no braces. */
bool conf_list_of_paths(const struct conf_setting *s);
/* Appends a copy. 0 or -ENOMEM. */
int conf_list_add(const struct conf_setting *s, struct str item, const char *dir, void *owner);
void conf_list_free(const struct conf_setting *s, void *owner);
size_t conf_list_items(const struct conf_setting *s, const void *owner, char ***ret);

/* The pieces of "a|b". */
struct conf_choices {
    const char *p;
};
static inline bool conf_choice_next(struct conf_choices *c, struct str *ret)
{
    if (!c->p || !*c->p)
        return false;
    size_t n = strcspn(c->p, "|");
    *ret = str_make(c->p, n);
    c->p += n + (c->p[n] == '|');
    return true;
}

#endif

/* cppcheck reads no system headers: this is what <sys/queue.h> makes of a list head, with or without
 * a name. Included before every file that scripts/lint checks. */
#define LIST_HEAD(name, type)                                                                      \
    struct name {                                                                                  \
        struct type *lh_first;                                                                     \
    }

/* keys: made once, rotated two at a time, refused when the file is not ours. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/keys.h"

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/restante-keys-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static const char *in(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(in(KEYS_FILE));
    unlink(in(KEYS_FILE ".new"));
    return rmdir(dir);
}

static void put(const char *text, mode_t mode)
{
    unlink(in(KEYS_FILE));
    int fd = open(in(KEYS_FILE), O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

#define TITLE "restante session keys 1\n"
#define SECRET "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define LINE_A "0000002a " SECRET "\n"
#define LINE_B "ff00ff00 " SECRET "\n"

static void test_made_at_the_first_start_and_read_at_the_next(void **state)
{
    struct session_keys a, b;
    struct stat st;

    (void)state;
    mode_t was = umask(0);
    int rc = keys_load(dir, &a);
    umask(was);
    assert_int_equal(rc, 0);
    assert_int_not_equal(a.key[0].id, 0);
    assert_int_equal(a.key[1].id, 0);
    assert_int_equal(keys_load(dir, &b), 0);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(stat(in(KEYS_FILE), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_rotation_keeps_the_one_before_and_only_that(void **state)
{
    struct session_keys first, second, third, disk;

    (void)state;
    assert_int_equal(keys_load(dir, &first), 0);
    second = first;
    assert_int_equal(keys_rotate(dir, &second), 0);
    assert_int_not_equal(second.key[0].id, first.key[0].id);
    assert_memory_equal(&second.key[1], &first.key[0], sizeof(first.key[0]));
    third = second;
    assert_int_equal(keys_rotate(dir, &third), 0);
    assert_memory_equal(&third.key[1], &second.key[0], sizeof(second.key[0]));
    assert_int_equal(keys_load(dir, &disk), 0);
    assert_memory_equal(&disk, &third, sizeof(disk));
    assert_int_equal(access(in(KEYS_FILE ".new"), F_OK), -1);
}

static void test_the_format_is_kept(void **state)
{
    struct session_keys k;

    (void)state;
    put(TITLE LINE_A LINE_B, 0600);
    assert_int_equal(keys_load(dir, &k), 0);
    assert_int_equal(k.key[0].id, 42);
    assert_int_equal(k.key[1].id, 0xff00ff00);
    for (int i = 0; i < 32; i++)
        assert_int_equal(k.key[0].secret[i], i);
}

static void test_a_crash_before_the_rename_leaves_the_old_keys(void **state)
{
    struct session_keys before, after;

    (void)state;
    put(TITLE LINE_A, 0600);
    assert_int_equal(keys_load(dir, &before), 0);
    int fd = open(in(KEYS_FILE ".new"), O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, TITLE "0000", sizeof(TITLE) + 3), sizeof(TITLE) + 3);
    close(fd);
    assert_int_equal(keys_load(dir, &after), 0);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(keys_rotate(dir, &after), 0); /* and the leftover is in nobody's way */
    assert_int_equal(keys_load(dir, &before), 0);
    assert_memory_equal(&before, &after, sizeof(before));
}

static void test_a_file_that_is_not_ours_is_refused_and_kept(void **state)
{
    static const char *const texts[] = {
        "",
        "restante",
        TITLE,
        TITLE "0000002a",
        "restante session keys 2\n" LINE_A,
        TITLE LINE_A LINE_A,           /* one id twice */
        TITLE LINE_A LINE_B LINE_B,    /* three */
        TITLE LINE_A "x",              /* more */
        TITLE "00000000 " SECRET "\n", /* no id */
        TITLE "0000002g " SECRET "\n", /* not hex */
        TITLE "0000002a-" SECRET "\n", /* separator */
        TITLE "0000002a " SECRET " ",  /* end of line */
    };
    struct session_keys k = {.key[0].id = 7};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct stat st;
        put(texts[i], 0600);
        assert_int_equal(keys_load(dir, &k), -EBADMSG);
        assert_int_equal(k.key[0].id, 7);
        assert_int_equal(stat(in(KEYS_FILE), &st), 0);
        assert_int_equal(st.st_size, strlen(texts[i]));
    }
}

static void test_a_file_that_others_may_read_is_refused(void **state)
{
    struct session_keys k;

    (void)state;
    put(TITLE LINE_A, 0640);
    assert_int_equal(keys_load(dir, &k), -EPERM);
    put(TITLE LINE_A, 0604);
    assert_int_equal(keys_load(dir, &k), -EPERM);
}

static void test_a_failed_rotation_changes_nothing(void **state)
{
    struct session_keys keys, was, disk;

    (void)state;
    put(TITLE LINE_A, 0600);
    assert_int_equal(keys_load(dir, &keys), 0);
    was = keys;
    unlink(in(KEYS_FILE ".new"));
    assert_int_equal(mkdir(in(KEYS_FILE ".new"), 0700), 0); /* in the way of the new file */
    assert_int_equal(keys_rotate(dir, &keys), -EISDIR);
    assert_memory_equal(&keys, &was, sizeof(was));
    assert_int_equal(keys_load(dir, &disk), 0);
    assert_memory_equal(&disk, &was, sizeof(was));
    rmdir(in(KEYS_FILE ".new"));
    assert_int_equal(keys_rotate("/nonexistent/restante", &keys), -ENOENT);
    assert_memory_equal(&keys, &was, sizeof(was));
    assert_int_equal(keys_load("/nonexistent/restante", &keys), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_at_the_first_start_and_read_at_the_next),
        cmocka_unit_test(test_rotation_keeps_the_one_before_and_only_that),
        cmocka_unit_test(test_the_format_is_kept),
        cmocka_unit_test(test_a_crash_before_the_rename_leaves_the_old_keys),
        cmocka_unit_test(test_a_file_that_is_not_ours_is_refused_and_kept),
        cmocka_unit_test(test_a_file_that_others_may_read_is_refused),
        cmocka_unit_test(test_a_failed_rotation_changes_nothing),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}

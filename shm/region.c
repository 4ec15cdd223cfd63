/* region - sealed memfds.
 *
 * One place decides how shared memory is made, so that every region has the same protection: a
 * sealed size, close-on-exec, and a check of that size before it is mapped.
 */
#include "shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int region_create(const char *name, size_t size)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

int region_map(int fd, size_t size, bool writable, void **ret)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size < 0 || (size_t)st.st_size != size)
        return -EPROTO;
    int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    void *map = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    *ret = map;
    return 0;
}

void region_unmap(void *map, size_t size)
{
    if (map)
        munmap(map, size);
}

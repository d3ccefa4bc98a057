/* A slow disk for one server: every flush takes a millisecond longer. Loaded into PostgreSQL by LD_PRELOAD (src/flush.rs). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <time.h>

static int slowly(const char *name, int fd)
{
    int (*flush)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    struct timespec left = {0, 1000000};
    int result = flush(fd), said = errno;
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
    errno = said;
    return result;
}

int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }

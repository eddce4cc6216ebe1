/* A disk made slow: every sync of a file waits 2 ms before it is done. Loaded before the C library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

static void wait_first(void) {
    struct timespec left = {0, 2000000};
    while (nanosleep(&left, &left) != 0) {
    }
}

int fdatasync(int file) {
    static int (*sync)(int);
    if (!sync) sync = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_first();
    return sync(file);
}

int fsync(int file) {
    static int (*sync)(int);
    if (!sync) sync = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_first();
    return sync(file);
}

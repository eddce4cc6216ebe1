/* Writes down, in one order, what a process does to the files under one directory, so that a test can rebuild what a
 * power cut would have left of them: put in front of a program by LD_PRELOAD on Linux. Changes nothing about the
 * program but that one of these calls runs at a time.
 *
 * TILLBOOK_TRACE        the file that is appended to
 * TILLBOOK_TRACE_UNDER  the directory that is watched, as an absolute path without links
 * TILLBOOK_TRACE_BOOT   a file that is read in place of the boot's id: every life of the machine has its own
 * TILLBOOK_TRACE_DIES   after so many operations (what is printed does not count) the process kills itself; or "n+k":
 *                       k operations after the n-th change of a name, those in directories index-* not counted
 *
 * A record: operation (1 byte), inode (8), offset or length (8), length of the path (4), length of the bytes (4), path,
 * bytes; numbers little endian. Operations:
 *   c created path      d made the directory path     u unlinked path (a directory too)
 *   r renamed path to bytes                           w wrote bytes at offset
 *   l set the length    s synced the file, which was offset bytes long
 *   e synced the entries of the directory path        a wrote bytes to standard output
 *   f sync_file_range, which makes nothing durable    m mapped the file for shared writing (which nothing here sees)
 *
 * Space taken by a raw fallocate is not seen; the length at the next sync tells of it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static int trace = -1;
static const char *under, *boot;
static size_t under_length;
static dev_t device; /* inodes are told apart on one file system alone */
static long dies = -1, operations;                     /* of all */
static long dies_after_name = -1, names, since_name; /* of those not of an index */

/* The inodes of files opened under the directory; a file elsewhere that is given one of them again takes it off. */
enum { MOST_FILES = 4096 };
static ino_t watched[MOST_FILES];
static char of_index[MOST_FILES];

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); real; })

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("TILLBOOK_TRACE"), *number = getenv("TILLBOOK_TRACE_DIES");
    under = getenv("TILLBOOK_TRACE_UNDER");
    boot = getenv("TILLBOOK_TRACE_BOOT");
    if (!file || !under) return;
    under_length = strlen(under);
    const char *plus = number ? strchr(number, '+') : NULL;
    if (number) dies = atol(plus ? plus + 1 : number);
    if (plus) dies_after_name = atol(number);
    struct stat is;
    if (stat(under, &is) != 0) { perror(under); _exit(99); }
    device = is.st_dev;
    trace = REAL(open)(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (trace < 0) { perror(file); _exit(99); }
}

static int is_under(const char *path) {
    return trace >= 0 && path && strncmp(path, under, under_length) == 0 && (path[under_length] == '/' || !path[under_length]);
}

/* Where an inode stands among the watched ones; zero: where the next one may stand. */
static ino_t *place_of(ino_t inode) {
    for (int at = 0; at < MOST_FILES; at++)
        if (watched[at] == inode) return &watched[at];
    return NULL;
}

static int is_watched(int fd, struct stat *at) {
    return trace >= 0 && fstat(fd, at) == 0 && at->st_dev == device && S_ISREG(at->st_mode) && place_of(at->st_ino);
}

static void record(char what, ino_t inode, uint64_t number, const char *path, const void *bytes, size_t length) {
    uint32_t path_length = path ? strlen(path) : 0, bytes_length = length;
    size_t size = 25 + path_length + length;
    unsigned char *line = malloc(size);
    uint64_t node = inode;
    if (!line) abort();
    if (what != 'a') operations++;
    int indexed = path ? strstr(path, "/index-") != NULL : inode && place_of(inode) && of_index[place_of(inode) - watched];
    if (what != 'a' && !indexed) since_name++;
    if ((what == 'c' || what == 'd' || what == 'r') && !indexed) { names++; since_name = 0; }
    line[0] = what;
    memcpy(line + 1, &node, 8);
    memcpy(line + 9, &number, 8);
    memcpy(line + 17, &path_length, 4);
    memcpy(line + 21, &bytes_length, 4);
    if (path_length) memcpy(line + 25, path, path_length);
    if (length) memcpy(line + 25 + path_length, bytes, length);
    for (size_t at = 0; at < size;) {
        ssize_t wrote = REAL(write)(trace, line + at, size - at);
        if (wrote < 0) abort();
        at += wrote;
    }
    free(line);
}

/* What is about to be done to a watched file or name has its turn; the process may die in front of it. */
static void enter(void) {
    pthread_mutex_lock(&turn);
    int is_time = dies_after_name < 0 ? operations >= dies : names == dies_after_name && since_name >= dies;
    if (dies >= 0 && is_time) kill(getpid(), SIGKILL);
}

static void leave(void) {
    int error = errno;
    pthread_mutex_unlock(&turn);
    errno = error;
}

static int opened(int at, const char *path, int flags, mode_t mode) {
    if (boot && path && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) path = boot;
    if (!is_under(path)) {
        int fd = REAL(openat)(at, path, flags, mode);
        struct stat other;
        if (fd >= 0 && is_watched(fd, &other)) {
            pthread_mutex_lock(&turn);
            *place_of(other.st_ino) = 0;
            leave();
        }
        return fd;
    }
    struct stat is;
    int makes = (flags & O_CREAT) && lstat(path, &is) != 0;
    if (makes || (flags & O_TRUNC)) enter(); else pthread_mutex_lock(&turn);
    int fd = REAL(openat)(at, path, flags, mode);
    if (fd >= 0 && fstat(fd, &is) == 0 && S_ISREG(is.st_mode)) {
        if (!place_of(is.st_ino)) {
            if (!place_of(0)) abort();
            *place_of(0) = is.st_ino;
            of_index[place_of(is.st_ino) - watched] = strstr(path, "/index-") != NULL;
        }
        if (makes) record('c', is.st_ino, 0, path, NULL, 0);
        else if (flags & O_TRUNC) record('l', is.st_ino, 0, NULL, NULL, 0);
    }
    leave();
    return fd;
}

#define MODE mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
int open(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE return opened(at, path, flags, mode); }

ssize_t write(int fd, const void *bytes, size_t length) {
    struct stat is;
    if (fd == 1 && trace >= 0) {
        pthread_mutex_lock(&turn);
        ssize_t wrote = REAL(write)(fd, bytes, length);
        if (wrote > 0) record('a', 0, 0, NULL, bytes, wrote);
        leave();
        return wrote;
    }
    if (!is_watched(fd, &is)) return REAL(write)(fd, bytes, length);
    enter();
    ssize_t wrote = REAL(write)(fd, bytes, length);
    if (wrote > 0) record('w', is.st_ino, lseek(fd, 0, SEEK_CUR) - wrote, NULL, bytes, wrote);
    leave();
    return wrote;
}

/* One part at a time: a caller goes on after a short write. */
ssize_t writev(int fd, const struct iovec *parts, int count) {
    struct stat is;
    if ((fd != 1 || trace < 0) && !is_watched(fd, &is)) return REAL(writev)(fd, parts, count);
    for (int part = 0; part < count; part++)
        if (parts[part].iov_len) return write(fd, parts[part].iov_base, parts[part].iov_len);
    return 0;
}

static ssize_t written_at(int fd, const void *bytes, size_t length, off_t offset) {
    struct stat is;
    if (!is_watched(fd, &is)) return REAL(pwrite64)(fd, bytes, length, offset);
    enter();
    ssize_t wrote = REAL(pwrite64)(fd, bytes, length, offset);
    if (wrote > 0) record('w', is.st_ino, offset, NULL, bytes, wrote);
    leave();
    return wrote;
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return written_at(fd, bytes, length, offset); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) { return written_at(fd, bytes, length, offset); }

static int cut(int fd, off_t length) {
    struct stat is;
    if (!is_watched(fd, &is)) return REAL(ftruncate64)(fd, length);
    enter();
    int done = REAL(ftruncate64)(fd, length);
    if (done == 0) record('l', is.st_ino, length, NULL, NULL, 0);
    leave();
    return done;
}
int ftruncate(int fd, off_t length) { return cut(fd, length); }
int ftruncate64(int fd, off_t length) { return cut(fd, length); }

static int synced(int fd, int (*real)(int)) {
    struct stat is;
    char link[64], path[PATH_MAX];
    if (trace < 0 || fstat(fd, &is) != 0) return real(fd);
    if (S_ISDIR(is.st_mode)) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof path - 1);
        path[length < 0 ? 0 : length] = 0;
        if (!is_under(path)) return real(fd);
    } else if (!is_watched(fd, &is)) return real(fd);
    enter();
    /* As long as it is now: no other traced call moves it until this one is over. */
    fstat(fd, &is);
    int done = real(fd);
    if (done == 0 && S_ISDIR(is.st_mode)) record('e', is.st_ino, 0, path, NULL, 0);
    else if (done == 0) record('s', is.st_ino, is.st_size, NULL, NULL, 0);
    leave();
    return done;
}
int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags) {
    struct stat is;
    if (!is_watched(fd, &is)) return REAL(sync_file_range)(fd, offset, length, flags);
    enter();
    int done = REAL(sync_file_range)(fd, offset, length, flags);
    record('f', is.st_ino, offset, NULL, NULL, 0);
    leave();
    return done;
}

static void *mapped(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
    struct stat is;
    if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE) && is_watched(fd, &is)) {
        enter();
        record('m', is.st_ino, offset, NULL, NULL, 0);
        leave();
    }
    return REAL(mmap64)(at, length, protection, flags, fd, offset);
}
void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) { return mapped(at, length, protection, flags, fd, offset); }
void *mmap64(void *at, size_t length, int protection, int flags, int fd, off_t offset) { return mapped(at, length, protection, flags, fd, offset); }

int rename(const char *from, const char *to) {
    if (!is_under(from) && !is_under(to)) return REAL(rename)(from, to);
    enter();
    int done = REAL(rename)(from, to);
    if (done == 0) record('r', 0, 0, from, to, strlen(to));
    leave();
    return done;
}

int mkdir(const char *path, mode_t mode) {
    if (!is_under(path)) return REAL(mkdir)(path, mode);
    enter();
    int done = REAL(mkdir)(path, mode);
    if (done == 0) record('d', 0, 0, path, NULL, 0);
    leave();
    return done;
}

/* The path of a name in an open directory. */
static const char *whole(int at, const char *path, char *buffer) {
    char link[64];
    if (trace < 0 || path[0] == '/' || at == AT_FDCWD) return path;
    snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t length = readlink(link, buffer, PATH_MAX - 1);
    if (length < 0) return path;
    snprintf(buffer + length, PATH_MAX - length, "/%s", path);
    return buffer;
}

int unlinkat(int at, const char *path, int flags) {
    char buffer[PATH_MAX];
    const char *name = whole(at, path, buffer);
    if (!is_under(name)) return REAL(unlinkat)(at, path, flags);
    enter();
    int done = REAL(unlinkat)(at, path, flags);
    if (done == 0) record('u', 0, 0, name, NULL, 0);
    leave();
    return done;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

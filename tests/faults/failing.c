/* Preloaded into a program: lets the n-th call of some kind fail, or kills the program there, for files under a folder.

   SQLite and Python both reach the kernel by these functions of the C library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, WRITE = 2, SYNC = 4, RENAME = 8 };

static char folder[4096];
static int kinds, number, good, deadly, seen;

/* From the number-th call of these kinds on; for_good: not that one alone; kills: dies instead of failing. */
void arm(const char *where, int which, int nth, int for_good, int kills) {
    strncpy(folder, where, sizeof folder - 1);
    kinds = which, number = nth, good = for_good, deadly = kills, seen = 0;
}

int calls(void) { return seen; }

static int fails(int kind, const char *path) {
    if (!(kinds & kind) || strncmp(path, folder, strlen(folder)))
        return 0;
    seen++;
    if (!(good ? seen >= number : seen == number))
        return 0;
    if (deadly)
        raise(SIGKILL);
    errno = kind == WRITE ? ENOSPC : EIO;
    return 1;
}

static int fails_at(int kind, int descriptor) {
    char link[64], path[4096];
    if (!(kinds & kind))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return fails(kind, path);
}

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))
#define OPENS(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
        return fails(OPEN, path) ? -1 : REAL(name)(path, flags, mode); }
#define OPENS_AT(name) \
    int name(int at, const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
        return fails(OPEN, path) ? -1 : REAL(name)(at, path, flags, mode); }
OPENS(open) OPENS(open64) OPENS_AT(openat) OPENS_AT(openat64)

ssize_t write(int fd, const void *data, size_t size) {
    return fails_at(WRITE, fd) ? -1 : REAL(write)(fd, data, size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    return fails_at(WRITE, fd) ? -1 : REAL(pwrite)(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    return fails_at(WRITE, fd) ? -1 : REAL(pwrite64)(fd, data, size, at);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    return fails_at(WRITE, fd) ? -1 : REAL(writev)(fd, parts, count);
}
int ftruncate(int fd, off_t size) { return fails_at(WRITE, fd) ? -1 : REAL(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { return fails_at(WRITE, fd) ? -1 : REAL(ftruncate64)(fd, size); }
int fallocate(int fd, int mode, off_t at, off_t size) {
    return fails_at(WRITE, fd) ? -1 : REAL(fallocate)(fd, mode, at, size);
}
int fsync(int fd) { return fails_at(SYNC, fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return fails_at(SYNC, fd) ? -1 : REAL(fdatasync)(fd); }
int rename(const char *from, const char *to) { return fails(RENAME, to) ? -1 : REAL(rename)(from, to); }

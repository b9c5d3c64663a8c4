/* Records what a process does to the files below a folder, and what it sends on sockets, in one order.
 *
 * LD_PRELOAD this library with RECORD_ROOT (the folder) and RECORD_LOG (the file to write) set. Each entry is
 *     u32 operation, i32 fd, u64 offset, u64 second number, u32 length of path, u32 length of data, path, data
 * A write is recorded when it was done, a synchronisation when it returned, bytes for a peer before they leave:
 * an acknowledgement can then never seem later, nor a synchronisation earlier, than it was.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, CLOSE, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MKDIR, SEND };

#define MAXIMUM_FD 65536
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static char root[PATH_MAX];
static unsigned char tracked[MAXIMUM_FD]; /* 1: a file or folder below the root */

__attribute__((constructor)) static void start(void) {
    const char *folder = getenv("RECORD_ROOT"), *path = getenv("RECORD_LOG");
    if (!folder || !path || !realpath(folder, root)) return;
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    unsetenv("LD_PRELOAD"); /* Children are not recorded. */
}

static void emit(uint32_t op, int32_t fd, uint64_t offset, uint64_t extra, const char *path, const struct iovec *data,
                 int count) {
    uint32_t path_length = path ? (uint32_t)strlen(path) : 0, length = 0;
    for (int i = 0; i < count; i++) length += (uint32_t)data[i].iov_len;
    char head[32];
    memcpy(head, &op, 4);
    memcpy(head + 4, &fd, 4);
    memcpy(head + 8, &offset, 8);
    memcpy(head + 16, &extra, 8);
    memcpy(head + 24, &path_length, 4);
    memcpy(head + 28, &length, 4);
    syscall(SYS_write, log_fd, head, 32);
    if (path_length) syscall(SYS_write, log_fd, path, path_length);
    for (int i = 0; i < count; i++)
        for (size_t done = 0; done < data[i].iov_len;) {
            ssize_t n = syscall(SYS_write, log_fd, (char *)data[i].iov_base + done, data[i].iov_len - done);
            if (n <= 0) abort();
            done += (size_t)n;
        }
}

/* The absolute form of a path if it lies below the root. */
static int below(int folder, const char *path, char *absolute) {
    if (log_fd < 0 || !path) return 0;
    if (path[0] == '/') snprintf(absolute, PATH_MAX, "%s", path);
    else {
        char base[PATH_MAX];
        if (folder == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t n = readlink(link, base, sizeof base - 1);
            if (n < 0) return 0;
            base[n] = 0;
        }
        if (snprintf(absolute, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
    }
    size_t length = strlen(root);
    return strncmp(absolute, root, length) == 0 && (absolute[length] == '/' || absolute[length] == 0);
}

static int is_tracked(int fd) { return log_fd >= 0 && fd >= 0 && fd < MAXIMUM_FD && tracked[fd]; }

static int opened(int folder, const char *path, int flags, mode_t mode) {
    char absolute[PATH_MAX];
    if (!below(folder, path, absolute)) return (int)syscall(SYS_openat, folder, path, flags, mode);
    pthread_mutex_lock(&turn);
    int existed = (int)syscall(SYS_faccessat, folder, path, F_OK, 0) == 0;
    int fd = (int)syscall(SYS_openat, folder, path, flags, mode), error = errno;
    if (fd >= 0 && fd < MAXIMUM_FD) {
        tracked[fd] = 1;
        emit(OPEN, fd, (uint64_t)flags, (uint64_t)!existed, absolute, NULL, 0);
    }
    pthread_mutex_unlock(&turn);
    errno = error;
    return fd;
}

#define OPENER(name) \
    int name(const char *path, int flags, ...) { \
        va_list arguments; \
        va_start(arguments, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0; \
        va_end(arguments); \
        return opened(AT_FDCWD, path, flags, mode); \
    }
#define OPENER_AT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        va_list arguments; \
        va_start(arguments, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0; \
        va_end(arguments); \
        return opened(folder, path, flags, mode); \
    }
OPENER(open)
OPENER(open64)
OPENER_AT(openat)
OPENER_AT(openat64)

int close(int fd) {
    if (!is_tracked(fd)) return (int)syscall(SYS_close, fd);
    pthread_mutex_lock(&turn);
    tracked[fd] = 0;
    emit(CLOSE, fd, 0, 0, NULL, NULL, 0);
    int result = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&turn);
    return result;
}

static ssize_t written(int fd, const struct iovec *data, int count, off_t offset, int has_offset) {
    if (!is_tracked(fd)) {
        struct stat status;
        if (log_fd >= 0 && fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode)) {
            pthread_mutex_lock(&turn);
            emit(SEND, fd, 0, 0, NULL, data, count);
            pthread_mutex_unlock(&turn);
        }
        return has_offset ? syscall(SYS_pwritev, fd, data, count, offset, 0) : syscall(SYS_writev, fd, data, count);
    }
    pthread_mutex_lock(&turn);
    int flags = (int)syscall(SYS_fcntl, fd, F_GETFL);
    off_t at = has_offset ? offset : (off_t)syscall(SYS_lseek, fd, 0, flags & O_APPEND ? SEEK_END : SEEK_CUR);
    ssize_t result = has_offset ? syscall(SYS_pwritev, fd, data, count, offset, 0) : syscall(SYS_writev, fd, data, count);
    int error = errno;
    size_t left = result > 0 ? (size_t)result : 0;
    for (int i = 0; i < count && left; i++) {
        struct iovec part = {data[i].iov_base, data[i].iov_len < left ? data[i].iov_len : left};
        emit(WRITE, fd, (uint64_t)at, 0, NULL, &part, 1);
        at += (off_t)part.iov_len;
        left -= part.iov_len;
    }
    pthread_mutex_unlock(&turn);
    errno = error;
    return result;
}

ssize_t write(int fd, const void *data, size_t length) {
    struct iovec part = {(void *)data, length};
    return written(fd, &part, 1, 0, 0);
}
ssize_t writev(int fd, const struct iovec *data, int count) { return written(fd, data, count, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    struct iovec part = {(void *)data, length};
    return written(fd, &part, 1, offset, 1);
}
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return pwrite(fd, data, length, offset); }
ssize_t pwritev(int fd, const struct iovec *data, int count, off_t offset) { return written(fd, data, count, offset, 1); }
ssize_t pwritev64(int fd, const struct iovec *data, int count, off64_t offset) {
    return written(fd, data, count, offset, 1);
}

static void sent(int fd, const struct iovec *data, int count) {
    if (log_fd < 0) return;
    pthread_mutex_lock(&turn);
    emit(SEND, fd, 0, 0, NULL, data, count);
    pthread_mutex_unlock(&turn);
}
ssize_t send(int fd, const void *data, size_t length, int flags) {
    struct iovec part = {(void *)data, length};
    sent(fd, &part, 1);
    return syscall(SYS_sendto, fd, data, length, flags, NULL, 0);
}
ssize_t sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t size) {
    struct iovec part = {(void *)data, length};
    sent(fd, &part, 1);
    return syscall(SYS_sendto, fd, data, length, flags, to, size);
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    sent(fd, message->msg_iov, (int)message->msg_iovlen);
    return syscall(SYS_sendmsg, fd, message, flags);
}

static int truncated(int fd, off_t length) {
    if (!is_tracked(fd)) return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&turn);
    int result = (int)syscall(SYS_ftruncate, fd, length);
    if (result == 0) emit(TRUNCATE, fd, (uint64_t)length, 0, NULL, NULL, 0);
    pthread_mutex_unlock(&turn);
    return result;
}
int ftruncate(int fd, off_t length) { return truncated(fd, length); }
int ftruncate64(int fd, off64_t length) { return truncated(fd, length); }

static int synced(int fd, long call) {
    if (!is_tracked(fd)) return (int)syscall(call, fd);
    pthread_mutex_lock(&turn);
    int result = (int)syscall(call, fd);
    if (result == 0) emit(SYNC, fd, 0, 0, NULL, NULL, 0);
    pthread_mutex_unlock(&turn);
    return result;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

static int renamed(int from_folder, const char *from, int to_folder, const char *to) {
    char source[PATH_MAX], target[PATH_MAX];
    int is_ours = below(from_folder, from, source) && below(to_folder, to, target);
    if (is_ours) pthread_mutex_lock(&turn);
    int result = (int)syscall(SYS_renameat, from_folder, from, to_folder, to), error = errno;
    if (is_ours) {
        struct iovec part = {target, strlen(target)};
        if (result == 0) emit(RENAME, -1, 0, 0, source, &part, 1);
        pthread_mutex_unlock(&turn);
    }
    errno = error;
    return result;
}
int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to); }
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return renamed(from_folder, from, to_folder, to);
}

static int removed(int folder, const char *path, int flags) {
    char absolute[PATH_MAX];
    int is_ours = below(folder, path, absolute);
    if (is_ours) pthread_mutex_lock(&turn);
    int result = (int)syscall(SYS_unlinkat, folder, path, flags), error = errno;
    if (is_ours) {
        if (result == 0) emit(UNLINK, -1, 0, 0, absolute, NULL, 0);
        pthread_mutex_unlock(&turn);
    }
    errno = error;
    return result;
}
int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int folder, const char *path, int flags) { return removed(folder, path, flags); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }

static int made(int folder, const char *path, mode_t mode) {
    char absolute[PATH_MAX];
    int is_ours = below(folder, path, absolute);
    if (is_ours) pthread_mutex_lock(&turn);
    int result = (int)syscall(SYS_mkdirat, folder, path, mode), error = errno;
    if (is_ours) {
        if (result == 0) emit(MKDIR, -1, 0, 0, absolute, NULL, 0);
        pthread_mutex_unlock(&turn);
    }
    errno = error;
    return result;
}
int mkdir(const char *path, mode_t mode) { return made(AT_FDCWD, path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) { return made(folder, path, mode); }

/* Faults in the file operations of one process: preloaded before libc, told what to do by ctypes.

   Every operation on a path below the armed directory, or on a descriptor of a file there, gets a
   number: 1, 2, 3, ... Around the one with the number `at` the process is killed or stopped, or the
   operation reports an error that was not, or was only said to be. All others are carried out.

   Only calls that pass through libc's symbols are seen: those of CPython and of numpy are, but for
   readdir (opendir stands for it) and for what a FILE* reads and writes. fsync counts and returns
   at once: nothing here cuts the power, so the true one would only cost time. Paths are taken as
   they are: absolute, without "..". For 64-bit Linux, where struct stat is the kernel's. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum how {
    NOTHING,
    KILL_BEFORE,
    KILL_AFTER,
    ERROR_BEFORE, /* not done, and the call says so */
    ERROR_AFTER,  /* done, but the call says that it was not */
    STOP_BEFORE,
    STOP_AFTER,
    ERRORS_FROM, /* from number `at` on: a disk that is full, read-only or gone for good */
};
enum kind { READS, CHANGES, GROWS }; /* GROWS: changes, and needs room for it */
enum fate { DO, FAIL, DO_AND_STRIKE };

static char directory[PATH_MAX];
static long at;
static int how, error, everybody, trace = -1;
static atomic_long count;
static __thread int armed; /* in the thread that called inject_arm */
static int elsewhere;

/* ------------------------------------------------------------------ control, through ctypes */

/* Count and strike from now on. threads: 0 for this thread alone, which makes numbers repeatable.
   lines: a descriptor that gets one line for each operation, or -1. */
void inject_arm(const char *below, long number, int what, int code, int threads, int lines) {
    at = number, how = what, error = code, everybody = threads, trace = lines, armed = 1;
    atomic_store(&count, 0);
    snprintf(directory, sizeof directory, "%s", below);
}

void inject_disarm(void) { directory[0] = 0; }

long inject_count(void) { return atomic_load(&count); }

/* Let this process look as if it ran on another machine: in a pid namespace of its own. */
void inject_elsewhere(void) { elsewhere = 1; }

/* ------------------------------------------------------------------ what happens to an operation */

static int watching(void) { return directory[0] && (armed || everybody); }

static int inside(const char *path) {
    size_t length = strlen(directory);
    return !strncmp(path, directory, length) && (path[length] == '/' || !path[length]);
}

/* Return the path of a descriptor, "" if there is none. */
static const char *of(int descriptor, char *buffer) {
    int saved = errno;
    char link[64];
    buffer[0] = 0;
    if (watching() && descriptor >= 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
        long length = syscall(SYS_readlinkat, AT_FDCWD, link, buffer, PATH_MAX - 1);
        buffer[length > 0 ? length : 0] = 0;
    }
    errno = saved;
    return buffer;
}

/* Return the path that `path` means to a call which takes a folder's descriptor too. */
static const char *in(int folder, const char *path, char *buffer) {
    if (!watching() || !path || path[0] == '/' || folder == AT_FDCWD) return path ? path : "";
    of(folder, buffer);
    size_t length = strlen(buffer);
    if (path[0]) snprintf(buffer + length, PATH_MAX - length, "/%s", path);
    return buffer;
}

static void strike(int signal) {
    int saved = errno;
    do /* this very thread, so that it is struck here and not a moment later */
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
    while (signal == SIGKILL);
    errno = saved;
}

static int fails_for_good(enum kind kind) {
    if (error == ENOSPC || error == EDQUOT) return kind == GROWS;
    return error == EROFS ? kind != READS : 1;
}

static enum fate before(const char *name, enum kind kind, const char *path, const char *other) {
    if (!watching() || !(inside(path) || inside(other))) return DO;
    long number = atomic_fetch_add(&count, 1) + 1;
    if (trace >= 0) {
        char line[2 * PATH_MAX + 64];
        int saved = errno, length = snprintf(line, sizeof line, "%ld\t%s\t%d\t%s\t%s\n", number,
                                             name, kind, path, other);
        syscall(SYS_write, trace, line, (size_t)length);
        errno = saved;
    }
    if (how == ERRORS_FROM && number >= at && fails_for_good(kind)) {
        errno = error;
        return FAIL;
    }
    if (number != at) return DO;
    switch (how) {
    case KILL_BEFORE: strike(SIGKILL); return DO;
    case STOP_BEFORE: strike(SIGSTOP); return DO;
    case ERROR_BEFORE: errno = error; return FAIL;
    case KILL_AFTER:
    case STOP_AFTER:
    case ERROR_AFTER: return DO_AND_STRIKE;
    default: return DO;
    }
}

/* Strike after the operation; say whether its success is to be denied. */
static int after(int failed) {
    if (how == KILL_AFTER) strike(SIGKILL);
    if (how == STOP_AFTER) strike(SIGSTOP);
    if (how == ERROR_AFTER && !failed) errno = error;
    return how == ERROR_AFTER && !failed;
}

/* Carry out `call`, or not. undo: frees what the caller of an operation that "failed" never gets. */
#define AROUND(failure, name, kind, path, other, call, undo)               \
    ({                                                                     \
        enum fate fate = before(name, kind, path, other);                  \
        __typeof__(call) result = failure;                                 \
        if (fate != FAIL) result = call;                                   \
        if (fate == DO_AND_STRIKE && after(result == (failure))) {         \
            int saved = errno;                                             \
            undo;                                                          \
            errno = saved;                                                 \
            result = failure;                                              \
        }                                                                  \
        result;                                                            \
    })
#define ON_PATHS(name, kind, path, other, ...) \
    AROUND(-1, name, kind, path, other, syscall(__VA_ARGS__), (void)0)
#define ON_PATH(name, kind, path, ...) ON_PATHS(name, kind, path, "", __VA_ARGS__)
#define ON_FILE(name, kind, descriptor, ...) \
    ({ char buffer[PATH_MAX]; ON_PATH(name, kind, of(descriptor, buffer), __VA_ARGS__); })
#define ALIAS(of) __attribute__((alias(#of)))

/* ------------------------------------------------------------------ opening and closing */

static int open_file(int folder, const char *path, int flags, int mode) {
    char buffer[PATH_MAX];
    const char *name = !(flags & O_CREAT)  ? (flags & O_ACCMODE) ? "open to write" : "open"
                       : (flags & O_EXCL) ? "create new"
                                          : "create";
    enum kind kind = flags & O_CREAT ? GROWS : flags & O_ACCMODE ? CHANGES : READS;
    return AROUND(-1, name, kind, in(folder, path, buffer), "",
                  syscall(SYS_openat, folder, path, flags, mode), syscall(SYS_close, result));
}

static int mode_of(int flags, va_list more) {
    return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(more, int) : 0;
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    int mode = mode_of(flags, more);
    va_end(more);
    return open_file(AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) ALIAS(open);

int openat(int folder, const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    int mode = mode_of(flags, more);
    va_end(more);
    return open_file(folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) ALIAS(openat);

int creat(const char *path, mode_t mode) {
    return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, (int)mode);
}
int creat64(const char *path, mode_t mode) ALIAS(creat);

/* Linux has let the descriptor go even where close reports an error. */
int close(int descriptor) {
    char buffer[PATH_MAX];
    enum fate fate = before("close", READS, of(descriptor, buffer), "");
    int saved = errno, result = (int)syscall(SYS_close, descriptor);
    if (fate == FAIL) errno = saved;
    return fate == FAIL || (fate == DO_AND_STRIKE && after(result)) ? -1 : result;
}

DIR *opendir(const char *path) {
    DIR *(*real)(const char *) = (DIR * (*)(const char *)) dlsym(RTLD_NEXT, "opendir");
    return AROUND(NULL, "opendir", READS, path, "", real(path), closedir(result));
}

DIR *fdopendir(int descriptor) {
    DIR *(*real)(int) = (DIR * (*)(int)) dlsym(RTLD_NEXT, "fdopendir");
    char buffer[PATH_MAX];
    return AROUND(NULL, "fdopendir", READS, of(descriptor, buffer), "", real(descriptor),
                  (void)0); /* the caller closes the descriptor */
}

/* ------------------------------------------------------------------ reading and writing */

ssize_t read(int file, void *data, size_t size) {
    return ON_FILE("read", READS, file, SYS_read, file, data, size);
}

ssize_t pread(int file, void *data, size_t size, off_t offset) {
    return ON_FILE("pread", READS, file, SYS_pread64, file, data, size, offset);
}
ssize_t pread64(int file, void *data, size_t size, off64_t offset) ALIAS(pread);

ssize_t write(int file, const void *data, size_t size) {
    return ON_FILE("write", GROWS, file, SYS_write, file, data, size);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t offset) {
    return ON_FILE("pwrite", GROWS, file, SYS_pwrite64, file, data, size, offset);
}
ssize_t pwrite64(int file, const void *data, size_t size, off64_t offset) ALIAS(pwrite);

ssize_t sendfile(int to, int from, off_t *offset, size_t size) {
    char goal[PATH_MAX], source[PATH_MAX];
    return ON_PATHS("sendfile", GROWS, of(to, goal), of(from, source), SYS_sendfile, to, from,
                    offset, size);
}
ssize_t sendfile64(int to, int from, off64_t *offset, size_t size) ALIAS(sendfile);

ssize_t copy_file_range(int from, off64_t *source_offset, int to, off64_t *goal_offset, size_t size,
                        unsigned flags) {
    char goal[PATH_MAX], source[PATH_MAX];
    return ON_PATHS("copy_file_range", GROWS, of(to, goal), of(from, source), SYS_copy_file_range,
                    from, source_offset, to, goal_offset, size, flags);
}

int ftruncate(int file, off_t size) {
    return ON_FILE("ftruncate", GROWS, file, SYS_ftruncate, file, size);
}
int ftruncate64(int file, off64_t size) ALIAS(ftruncate);

static int sync_file(const char *name, int file) {
    char buffer[PATH_MAX];
    const char *path = of(file, buffer);
    if (path[0] && inside(path)) return AROUND(-1, name, GROWS, path, "", 0, (void)0);
    return (int)syscall(SYS_fsync, file);
}

int fsync(int file) { return sync_file("fsync", file); }

int fdatasync(int file) { return sync_file("fdatasync", file); }

/* ------------------------------------------------------------------ names */

int renameat(int from, const char *old, int to, const char *new) {
    char source[PATH_MAX], goal[PATH_MAX];
    return ON_PATHS("rename", GROWS, in(from, old, source), in(to, new, goal), SYS_renameat2, from,
                    old, to, new, 0);
}

int rename(const char *old, const char *new) { return renameat(AT_FDCWD, old, AT_FDCWD, new); }

int linkat(int from, const char *old, int to, const char *new, int flags) {
    char source[PATH_MAX], goal[PATH_MAX];
    return ON_PATHS("link", GROWS, in(from, old, source), in(to, new, goal), SYS_linkat, from, old,
                    to, new, flags);
}

int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

int symlinkat(const char *text, int folder, const char *path) {
    char buffer[PATH_MAX];
    return ON_PATH("symlink", GROWS, in(folder, path, buffer), SYS_symlinkat, text, folder, path);
}

int symlink(const char *text, const char *path) { return symlinkat(text, AT_FDCWD, path); }

int unlinkat(int folder, const char *path, int flags) {
    char buffer[PATH_MAX];
    return ON_PATH(flags & AT_REMOVEDIR ? "rmdir" : "unlink", CHANGES, in(folder, path, buffer),
                   SYS_unlinkat, folder, path, flags);
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int folder, const char *path, mode_t mode) {
    char buffer[PATH_MAX];
    return ON_PATH("mkdir", GROWS, in(folder, path, buffer), SYS_mkdirat, folder, path, mode);
}

int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

/* ------------------------------------------------------------------ looking */

int fstatat(int folder, const char *path, void *found, int flags) {
    char buffer[PATH_MAX];
    return ON_PATH("stat", READS, in(folder, path, buffer), SYS_newfstatat, folder, path, found,
                   flags);
}
int fstatat64(int folder, const char *path, void *found, int flags) ALIAS(fstatat);

int stat(const char *path, void *found) { return fstatat(AT_FDCWD, path, found, 0); }
int stat64(const char *path, void *found) ALIAS(stat);

int lstat(const char *path, void *found) {
    return fstatat(AT_FDCWD, path, found, AT_SYMLINK_NOFOLLOW);
}
int lstat64(const char *path, void *found) ALIAS(lstat);

int fstat(int file, void *found) { return ON_FILE("fstat", READS, file, SYS_fstat, file, found); }
int fstat64(int file, void *found) ALIAS(fstat);

/* What programs of before glibc 2.33 call. */
int __xstat(int version, const char *path, void *found) { return (void)version, stat(path, found); }
int __xstat64(int version, const char *path, void *found) ALIAS(__xstat);
int __lxstat(int version, const char *path, void *found) {
    return (void)version, lstat(path, found);
}
int __lxstat64(int version, const char *path, void *found) ALIAS(__lxstat);
int __fxstat(int version, int file, void *found) { return (void)version, fstat(file, found); }
int __fxstat64(int version, int file, void *found) ALIAS(__fxstat);
int __fxstatat(int version, int folder, const char *path, void *found, int flags) {
    return (void)version, fstatat(folder, path, found, flags);
}
int __fxstatat64(int version, int folder, const char *path, void *found, int flags)
    ALIAS(__fxstatat);

int faccessat(int folder, const char *path, int mode, int flags) {
    char buffer[PATH_MAX];
    return ON_PATH("access", READS, in(folder, path, buffer), SYS_faccessat2, folder, path, mode,
                   flags);
}

int access(const char *path, int mode) { return faccessat(AT_FDCWD, path, mode, 0); }

int utimensat(int folder, const char *path, const struct timespec times[2], int flags) {
    char buffer[PATH_MAX];
    return ON_PATH("utime", CHANGES, in(folder, path, buffer), SYS_utimensat, folder, path, times,
                   flags);
}

int futimens(int file, const struct timespec times[2]) {
    return ON_FILE("utime", CHANGES, file, SYS_utimensat, file, NULL, times, 0);
}

ssize_t readlink(const char *path, char *data, size_t size) {
    if (elsewhere && !strcmp(path, "/proc/self/ns/pid")) path = "/proc/self/ns/net";
    char buffer[PATH_MAX];
    return ON_PATH("readlink", READS, in(AT_FDCWD, path, buffer), SYS_readlinkat, AT_FDCWD, path,
                   data, size);
}

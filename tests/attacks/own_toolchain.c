// Changes or holds a file of the toolchain that built it, which the user owns: by its name, and with it open to read.
// Arguments: the names that the file may have.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static void result(const char *what, long answer) {
    if (answer >= 0) printf("ESCAPED: %s\n", what);
    else printf("blocked: %s: %m\n", what);
}

int main(int argc, char **argv) {
    int file = -1, flags = 0;
    const char *path = "";
    for (int i = 1; i < argc && file < 0; i++) file = open(path = argv[i], O_RDONLY);
    if (file < 0) return 1;
    struct stat before;
    fstat(file, &before);

    int written = open(path, O_WRONLY | O_APPEND);
    result("open it to write", written);
    if (written >= 0) close(written);
    result("cut it", truncate(path, before.st_size));
    result("give it another name", rename(path, path));
    result("change its mode", fchmod(file, 0700));
    result("change its mode by name", chmod(path, before.st_mode & 07777));
    result("show it to everybody", fchmod(file, 0755));
    result("change its owner", fchown(file, before.st_uid, before.st_gid));
    result("change its times to the present", futimens(file, 0));
    result("change its times", futimens(file, (struct timespec[2]){{1, 0}, {1, 0}}));
    result("change its times by name", utimensat(AT_FDCWD, path, 0, 0));
    result("give it an attribute", fsetxattr(file, "user.of-a-test", "x", 1, 0));
    result("change its flags", ioctl(file, FS_IOC_GETFLAGS, &flags) ? -1 : ioctl(file, FS_IOC_SETFLAGS, &flags));
    result("hold up who opens it", fcntl(file, F_SETLEASE, F_RDLCK));
    return 0;
}

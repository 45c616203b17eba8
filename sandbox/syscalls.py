"""The system calls that confined code may make. All others fail with EPERM: sockets, processes, signals, mounts, keys, tracing, io_uring.

An allow-list: a call that a new kernel brings is refused. Calls that Landlock does not govern (changing modes, owners or times of files)
are not on it either.
"""

import functools
import tempfile

CLONE_THREAD = 0x10000
ENOSYS, EPERM = 38, 1

ALLOWED = """
access faccessat faccessat2 arch_prctl brk chdir fchdir clock_getres clock_gettime clock_nanosleep close close_range
copy_file_range dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 exit exit_group fcntl fdatasync
flock fstat fstatfs fsync ftruncate futex getcwd getdents getdents64 getegid geteuid getgid getgroups getitimer getpgid getpgrp
getpid getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid gettid gettimeofday getuid ioctl link linkat
lseek lstat madvise membarrier mkdir mkdirat mmap mprotect mremap munmap nanosleep newfstatat open openat pipe pipe2 poll ppoll
pread64 preadv pselect6 pwrite64 pwritev read readlink readlinkat readv rename renameat renameat2 restart_syscall rmdir rseq
rt_sigaction rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_getaffinity sched_getparam
sched_getscheduler sched_yield select sendfile set_robust_list get_robust_list set_tid_address setitimer setrlimit sigaltstack
socketpair stat statfs statx symlink symlinkat sysinfo time times truncate umask uname unlink unlinkat wait4 waitid write writev
"""


@functools.cache
def seccomp_filter() -> bytes:
    """The allow-list as the program that the kernel reads. Raises `OSError` or `ImportError` where libseccomp is missing."""
    try:
        import pyseccomp
    except RuntimeError as error:
        raise OSError(str(error)) from error
    rules = pyseccomp.SyscallFilter(pyseccomp.ERRNO(EPERM))
    for name in ALLOWED.split():
        rules.add_rule(pyseccomp.ALLOW, name)
    # Threads, but no processes. The flags of clone3 stand in memory, where no filter can read them: libc then falls back to clone.
    rules.add_rule(pyseccomp.ALLOW, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, CLONE_THREAD))
    rules.add_rule(pyseccomp.ERRNO(ENOSYS), "clone3")
    rules.add_rule(pyseccomp.ALLOW, "prlimit64", pyseccomp.Arg(0, pyseccomp.EQ, 0))
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()

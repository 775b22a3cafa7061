// Every test does in a child what a role does, and looks at the child from outside. Needs the machine's root for the
// parts about identities (tag local: Bazel's sandbox maps a single uid).
#include "sandbox/cage.h"

#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"

namespace postern::sandbox {
namespace {

constexpr uid_t kRoleUid = 70999;
constexpr uid_t kOrdinaryUid = 65534;
constexpr int kSetUpFailed = 99;
constexpr uint64_t kGarbage = uint64_t{1} << 32;
// setuid 7, setgid 6, kill 5
constexpr char kLauncherMask[] = "00000000000000e0";
constexpr char kNoCapabilities[] = "0000000000000000";

Policy Parsed(absl::string_view text) {
  const auto policy = ParsePolicy("t", absl::StrCat("policy v1\n", text));
  EXPECT_TRUE(policy.ok()) << policy.status();
  return policy.ok() ? *policy : Policy();
}

// The wait status of a child that ran `body`; what it returns is its exit code.
int InChild(const std::function<int()>& body) {
  const pid_t pid = fork();
  if (pid == 0) syscall(SYS_exit_group, body());
  int status = -1;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return status;
}

bool Ok(const absl::Status& status) {
  if (!status.ok()) fprintf(stderr, "child: %s\n", status.ToString().c_str());
  return status.ok();
}

bool BecomeOrdinary() {
  // setresuid makes it non-dumpable, and /proc/self then belongs to root; a program started by a user is dumpable.
  return setgroups(0, nullptr) == 0 && setresgid(kOrdinaryUid, kOrdinaryUid, kOrdinaryUid) == 0 &&
         setresuid(kOrdinaryUid, kOrdinaryUid, kOrdinaryUid) == 0 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string StatusField(pid_t pid, const std::string& field) {
  std::istringstream in(ReadFile(absl::StrCat("/proc/", pid, "/status")));
  for (std::string line; std::getline(in, line);)
    if (absl::StartsWith(line, field + ":"))
      return std::string(absl::StripAsciiWhitespace(line.substr(field.size() + 1)));
  return "no such field";
}

std::string Namespace(const std::string& pid, const std::string& name) {
  char target[64] = {};
  if (readlink(absl::StrCat("/proc/", pid, "/ns/", name).c_str(), target, sizeof(target) - 1) < 0) return "unknown";
  return target;
}

// A child that enters a cage and then waits there to be looked at.
class Caged {
 public:
  Caged(const Policy& policy, const Identity& identity, const std::function<bool()>& before = nullptr) {
    int up[2];
    int down[2];
    EXPECT_EQ(pipe(up), 0);
    EXPECT_EQ(pipe(down), 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(down[1]);
      if (before != nullptr && !before()) _exit(kSetUpFailed);
      const absl::Status status = Enter(policy, identity);
      const std::string text = status.ok() ? "in" : status.ToString();
      if (write(up[1], text.data(), text.size()) < 0) _exit(kSetUpFailed);
      char octet;
      _exit(read(down[0], &octet, 1) == 0 ? 0 : kSetUpFailed);
    }
    close(up[1]);
    close(down[0]);
    hold_ = down[1];
    char text[512] = {};
    EXPECT_GT(read(up[0], text, sizeof(text) - 1), 0);
    close(up[0]);
    result_ = text;
  }
  ~Caged() {
    close(hold_);
    waitpid(pid_, nullptr, 0);
  }
  pid_t pid() const { return pid_; }
  const std::string& result() const { return result_; }  // "in", or the error

 private:
  pid_t pid_;
  int hold_;
  std::string result_;
};

class CageTest : public testing::Test {
 protected:
  void SetUp() override {
    unsigned long inside = 1;
    unsigned long outside = 1;
    std::istringstream(ReadFile("/proc/self/uid_map")) >> inside >> outside;
    // A test that does not run has to be seen: the attack on what it covers would go unnoticed.
    if (geteuid() != 0 || outside != 0) GTEST_SKIP() << "SKIPPED: needs the machine's root";
  }
};

struct Probe {
  const char* what;
  long number;
  uint64_t arguments[4];
  int error;  // 0: goes through; -1: dies of SIGSYS
};

constexpr char kSealText[] = R"([syscalls s]
@default kill
exit_group, getppid, write: allow
openat: return EACCES
clone3: return ENOSYS
mmap: arg2 in PROT_READ|PROT_WRITE && arg3 in MAP_PRIVATE|MAP_ANONYMOUS
socket: arg0 == AF_UNIX && arg1 in SOCK_STREAM|SOCK_CLOEXEC
)";

TEST(SealTest, DecidesInTheKernel) {
  const Probe kProbes[] = {
      {"getppid", SYS_getppid, {}, 0},
      {"openat", SYS_openat, {}, EACCES},
      {"clone3", SYS_clone3, {}, ENOSYS},
      {"getuid", SYS_getuid, {}, -1},
      {"execve", SYS_execve, {}, -1},
      {"fork", SYS_fork, {}, -1},
      {"mmap rw", SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS}, 0},
      {"mmap rx", SYS_mmap, {0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS}, -1},
      {"mmap garbage", SYS_mmap, {0, 4096, kGarbage | PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS}, -1},
      {"socket unix", SYS_socket, {AF_UNIX, SOCK_STREAM}, 0},
      {"socket inet", SYS_socket, {AF_INET, SOCK_STREAM}, -1},
      {"socket garbage", SYS_socket, {kGarbage | AF_UNIX, SOCK_STREAM}, -1},
#ifdef __x86_64__
      {"x32 getppid", 0x40000000 | SYS_getppid, {}, -1},
#endif
  };
  const Policy policy = Parsed(kSealText);
  const auto seal = Seal::Prepare(policy, "s");
  ASSERT_TRUE(seal.ok()) << seal.status();
  for (const Probe& probe : kProbes) {
    const auto call = [&] {
      errno = 0;
      syscall(probe.number, probe.arguments[0], probe.arguments[1], probe.arguments[2], probe.arguments[3], -1L, 0L);
      return errno;
    };
    const int status = InChild([&] {
      if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !Ok(seal->Apply())) return kSetUpFailed;
      return call();
    });
    if (probe.error < 0) {
      EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) << probe.what << " " << status;
    } else {
      EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == probe.error) << probe.what << " " << status;
    }
  }
}

TEST(SealTest, AnInt80CallDies) {
#ifdef __x86_64__
  const auto seal = Seal::Prepare(Parsed("[syscalls s]\n@default allow\nptrace: kill\n"), "s");
  ASSERT_TRUE(seal.ok()) << seal.status();
  const auto call = [] {
    long result = 20;  // getpid there
    asm volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    return result > 0 ? 0 : 1;
  };
  // Without the filter it has to work, else the test says nothing.
  if (const int status = InChild(call); !WIFEXITED(status) || WEXITSTATUS(status) != 0)
    GTEST_SKIP() << "SKIPPED: this kernel has no int 0x80";
  const int status = InChild([&] {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !Ok(seal->Apply())) return kSetUpFailed;
    return call();
  });
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) << status;
#endif
}

TEST(SealTest, StagesStackAndSetLimits) {
  const Policy policy = Parsed(
      "[syscalls zygote]\n@default kill\nexit_group, getppid, getuid, prlimit64, seccomp, dup: allow\n"
      "[limits worker]\nnofile = 0\nfsize = 0\n"
      "[syscalls worker]\n@default kill\nexit_group, getppid, getgid, dup: allow\n");
  const auto zygote = Seal::Prepare(policy, "zygote");
  const auto worker = Seal::Prepare(policy, "worker");
  ASSERT_TRUE(zygote.ok() && worker.ok());
  const auto with_both = [&](long number) {
    return InChild([&] {
      if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || !Ok(zygote->Apply()) || !Ok(worker->Apply()))
        return kSetUpFailed;
      errno = 0;
      syscall(number, 0);
      return errno;
    });
  };
  EXPECT_EQ(WEXITSTATUS(with_both(SYS_getppid)), 0);
  EXPECT_EQ(WEXITSTATUS(with_both(SYS_dup)), EMFILE);
  EXPECT_EQ(WTERMSIG(with_both(SYS_getuid)), SIGSYS);  // only the zygote may
  EXPECT_EQ(WTERMSIG(with_both(SYS_getgid)), SIGSYS);  // a later stage opens nothing
}

TEST(SealTest, IsPreparedUnderTightLimits) {
  const int status = InChild([] {
    const rlimit none = {0, 0};
    if (setrlimit(RLIMIT_FSIZE, &none) != 0 || setrlimit(RLIMIT_NOFILE, &none) != 0) return kSetUpFailed;
    return Seal::Prepare(Parsed(kSealText), "s").ok() ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

TEST(SealTest, Refusals) {
  const Policy policy = Parsed(kSealText);
  EXPECT_EQ(Seal::Prepare(policy, "worker").status().code(), absl::StatusCode::kNotFound);
  const auto seal = Seal::Prepare(policy, "s");
  ASSERT_TRUE(seal.ok());
  if (geteuid() != 0) return;
  EXPECT_EQ(InChild([&] {
              if (!BecomeOrdinary()) return kSetUpFailed;
              const std::string error(seal->Apply().message());
              return absl::StrContains(error, "neither no_new_privs nor CAP_SYS_ADMIN") ? 0 : 1;
            }),
            0);
}

constexpr char kRoleText[] = R"([namespaces]
landlock = deny-all
[limits]
core = 0
nproc = 0
memory-deny-exec = yes
)";

// Inside a cage: 0, or the number of the first thing that should have failed and did not.
int TryToLeave() {
  if (open("/etc/passwd", O_RDONLY) >= 0) return 1;
  if (open("/", O_RDONLY | O_DIRECTORY) >= 0 || errno != EACCES) return 2;  // Landlock; the root is readable otherwise
  if (open("/new", O_WRONLY | O_CREAT, 0600) >= 0) return 3;
  if (access("/proc", F_OK) == 0) return 4;
  if (setresuid(0, 0, 0) == 0) return 5;
  if (unshare(CLONE_NEWNS) == 0) return 6;
  if (fork() >= 0 || errno != EAGAIN) return 7;
  if (mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
    return 8;
  const int fd = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(53);
  address.sin_addr.s_addr = htonl(0x08080808);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 || errno != ENETUNREACH) return 9;
  if (chroot("/") == 0) return 10;
  return 0;
}

void ExpectCaged(pid_t pid, uid_t uid) {
  const std::string four = absl::StrCat(uid, "\t", uid, "\t", uid, "\t", uid);
  EXPECT_EQ(StatusField(pid, "Uid"), four);
  EXPECT_EQ(StatusField(pid, "Gid"), four);
  EXPECT_EQ(StatusField(pid, "Groups"), "");
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
    EXPECT_EQ(StatusField(pid, set), kNoCapabilities) << set;
  EXPECT_EQ(StatusField(pid, "NoNewPrivs"), "1");
  for (const char* name : {"net", "mnt", "ipc", "uts"})
    EXPECT_NE(Namespace(absl::StrCat(pid), name), Namespace("self", name)) << name;
  const std::string mounts = ReadFile(absl::StrCat("/proc/", pid, "/mountinfo"));
  EXPECT_EQ(std::count(mounts.begin(), mounts.end(), '\n'), 1) << mounts;
  EXPECT_TRUE(absl::StrContains(mounts, " / / ro,nosuid,nodev,noexec")) << mounts;
}

TEST_F(CageTest, RootBecomesTheRole) {
  const Policy policy = Parsed(kRoleText);
  Caged caged(policy, {kRoleUid, kRoleUid}, [] {
    const gid_t kGroups[] = {4, 42};
    return setgroups(std::size(kGroups), kGroups) == 0;
  });
  ASSERT_EQ(caged.result(), "in");
  ExpectCaged(caged.pid(), kRoleUid);
  EXPECT_EQ(Namespace(absl::StrCat(caged.pid()), "user"), Namespace("self", "user"));
  EXPECT_EQ(InChild([&] {
              if (!Ok(Enter(policy, {kRoleUid, kRoleUid}))) return kSetUpFailed;
              const auto securebits = static_cast<unsigned>(prctl(PR_GET_SECUREBITS));
              if (securebits != 0x2f) return 20;
              if (prctl(PR_GET_DUMPABLE) != 0) return 21;
              return TryToLeave();
            }),
            0);
  // The positive control: none of it is refused to root outside. (Not all: some would harm the machine.)
  EXPECT_EQ(InChild([] { return open("/etc/passwd", O_RDONLY) >= 0 && unshare(CLONE_NEWNS) == 0 ? 0 : 1; }), 0);
}

constexpr char kReadOnlyText[] = R"([namespaces]
root = read-only
tmpfs = /run
)";

// Inside: 0, or the number of the first thing that is not as it should be.
int TryToWrite() {
  if (open("/etc/passwd", O_RDONLY) < 0) return 1;
  if (open("/dev/null", O_WRONLY) < 0) return 2;
  for (const char* path : {"/tmp/cage-test", "/var/tmp/cage-test", "/dev/shm/cage-test"})
    if (open(path, O_WRONLY | O_CREAT, 0600) >= 0 || errno != EROFS) return 3;
  struct stat status;
  if (stat("/run", &status) != 0 || status.st_uid != getuid() || status.st_nlink != 2) return 4;
  if (open("/run/x", O_WRONLY | O_CREAT, 0700) < 0) return 5;
  char path[] = "/run/x";
  char* const arguments[] = {path, nullptr};
  if (execve(path, arguments, nullptr) == 0 || errno != EACCES) return 6;
  if (mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND, nullptr) == 0) return 7;
  if (umount2("/run", MNT_DETACH) == 0) return 8;
  return 0;
}

TEST_F(CageTest, AReadOnlyRootAndADirectoryOfItsOwn) {
  const Policy policy = Parsed(kReadOnlyText);
  EXPECT_EQ(InChild([&] { return Ok(Enter(policy, {kRoleUid, kRoleUid})) ? TryToWrite() : kSetUpFailed; }), 0);
  EXPECT_EQ(InChild([&] {
              if (!BecomeOrdinary()) return kSetUpFailed;
              return Ok(Enter(policy, {kOrdinaryUid, kOrdinaryUid})) ? TryToWrite() : kSetUpFailed;
            }),
            0);
  EXPECT_NE(access("/run/x", F_OK), 0);
  Caged caged(Parsed("[namespaces]\nroot = read-only\ntmpfs = /no-such-directory\n"), {kRoleUid, kRoleUid});
  EXPECT_EQ(caged.result(), "UNAVAILABLE: mount(/no-such-directory): No such file or directory");
  // The positive control.
  EXPECT_EQ(InChild([] { return BecomeOrdinary() && open("/tmp", O_TMPFILE | O_WRONLY, 0600) >= 0 ? 0 : 1; }), 0);
}

TEST_F(CageTest, ItsProcShowsItsOwnProcesses) {
  Policy policy = Parsed(absl::StrCat(kReadOnlyText, "pid = new\n"));
  // As the supervisor does it.
  const pid_t pid = static_cast<pid_t>(syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, nullptr, nullptr, nullptr, 0));
  if (pid == 0) {
    if (!Ok(Enter(policy, {kRoleUid, kRoleUid}))) _exit(kSetUpFailed);
    _exit(access("/proc/1/stat", F_OK) == 0 && access("/proc/2/stat", F_OK) != 0 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0);
}

TEST_F(CageTest, AnOrdinaryUserGetsTheSameCage) {
  const Policy policy = Parsed(kRoleText);
  Caged caged(policy, {kOrdinaryUid, kOrdinaryUid}, BecomeOrdinary);
  ASSERT_EQ(caged.result(), "in");
  ExpectCaged(caged.pid(), kOrdinaryUid);
  EXPECT_NE(Namespace(absl::StrCat(caged.pid()), "user"), Namespace("self", "user"));
  EXPECT_EQ(InChild([&] {
              if (!BecomeOrdinary() || !Ok(Enter(policy, {kOrdinaryUid, kOrdinaryUid}))) return kSetUpFailed;
              return TryToLeave();
            }),
            0);
}

TEST_F(CageTest, AnOrdinaryUserWithoutNamespaces) {
  const Policy policy = Parsed("[identity]\ncaps = kill\n[namespaces]\nnet, mount, ipc, uts, root = keep\n");
  Caged caged(policy, {kOrdinaryUid, kOrdinaryUid}, BecomeOrdinary);
  ASSERT_EQ(caged.result(), "in");
  EXPECT_EQ(StatusField(caged.pid(), "CapPrm"), kNoCapabilities);
  EXPECT_EQ(StatusField(caged.pid(), "NoNewPrivs"), "1");
  EXPECT_EQ(Namespace(absl::StrCat(caged.pid()), "user"), Namespace("self", "user"));
}

constexpr char kLauncherText[] = R"([identity]
caps = setuid, setgid, kill
no-new-privs = no
[namespaces]
net, mount, ipc, uts, root = keep
[syscalls enter]
@default allow
ptrace, unshare: kill
)";

TEST_F(CageTest, TheLauncherKeepsExactlyItsThree) {
  const Policy policy = Parsed(kLauncherText);
  Caged caged(policy, {kRoleUid, kRoleUid});
  ASSERT_EQ(caged.result(), "in");
  for (const char* set : {"CapPrm", "CapEff", "CapBnd"}) EXPECT_EQ(StatusField(caged.pid(), set), kLauncherMask) << set;
  for (const char* set : {"CapInh", "CapAmb"}) EXPECT_EQ(StatusField(caged.pid(), set), kNoCapabilities) << set;
  EXPECT_EQ(StatusField(caged.pid(), "NoNewPrivs"), "0");
  EXPECT_EQ(StatusField(caged.pid(), "Seccomp"), "2");
  EXPECT_EQ(StatusField(caged.pid(), "Groups"), "");
}

TEST_F(CageTest, WhatTheLauncherStartsAsRootGetsTheBoundingSet) {
  const Policy policy = Parsed(kLauncherText);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_EQ(InChild([&] {
              if (!Ok(Enter(policy, {kRoleUid, kRoleUid})) || setresuid(0, 0, 0) != 0) return kSetUpFailed;
              dup2(ends[1], 1);
              execl("/bin/grep", "grep", "-E", "^Cap(Prm|Eff|Bnd)", "/proc/self/status", nullptr);
              return kSetUpFailed;
            }),
            0);
  close(ends[1]);
  char text[512] = {};
  EXPECT_GT(read(ends[0], text, sizeof(text) - 1), 0);
  close(ends[0]);
  EXPECT_EQ(std::string(text),
            absl::StrCat("CapPrm:\t", kLauncherMask, "\nCapEff:\t", kLauncherMask, "\nCapBnd:\t", kLauncherMask, "\n"));
  const int status = InChild([&] {
    if (!Ok(Enter(policy, {kRoleUid, kRoleUid}))) return kSetUpFailed;
    return unshare(CLONE_NEWUSER);
  });
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) << status;
}

TEST_F(CageTest, TheEnterStageIsAppliedLast) {
  const Policy policy = Parsed("[syscalls enter]\n@default kill\nexit_group, getppid, read, write: allow\n");
  const auto call = [&](long number) {
    return InChild([&] {
      if (!Enter(policy, {kRoleUid, kRoleUid}).ok()) return kSetUpFailed;
      syscall(number);
      return 0;
    });
  };
  EXPECT_EQ(call(SYS_getppid), 0);
  EXPECT_EQ(WTERMSIG(call(SYS_getuid)), SIGSYS);
}

TEST_F(CageTest, DiesWithItsParent) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const int status = InChild([&] {
    int ready[2];
    if (pipe(ready) != 0) return kSetUpFailed;
    if (fork() == 0) {
      if (!Ok(Enter(Parsed(""), {kRoleUid, kRoleUid})) || write(ready[1], "x", 1) != 1) _exit(kSetUpFailed);
      while (true) pause();  // holds ends[1]
    }
    char octet;
    return read(ready[0], &octet, 1) == 1 ? 0 : kSetUpFailed;
  });
  EXPECT_EQ(status, 0);
  close(ends[1]);
  pollfd end = {ends[0], POLLIN, 0};
  EXPECT_EQ(poll(&end, 1, 10000), 1) << "still there ten seconds after its parent";
  close(ends[0]);
}

// Attack 56: a layer that the kernel refuses. None may be left out silently.
TEST_F(CageTest, DoesNotStartWithoutALayer) {
  const struct {
    const char* call;
    const char* step;
  } kRows[] = {
      {"unshare", "unshare(net,mount,ipc,uts): "},
      {"mount", "mount(/, private): "},
      {"pivot_root", "pivot_root: "},
      {"umount2", "umount2 of the old root: "},
      {"prlimit64", "prlimit64 of "},
      {"setgroups", "setgroups(none): "},
      {"setresgid", "setresgid(70999): "},
      {"setresuid", "setresuid(70999): "},
      {"capset", "capset(effective): "},
      {"landlock_create_ruleset", "landlock_create_ruleset(version): "},
      {"landlock_restrict_self", "landlock_restrict_self: "},
  };
  const Policy policy = Parsed(kRoleText);
  for (const auto& row : kRows) {
    const Policy outer = Parsed(absl::StrCat("[syscalls s]\n@default allow\n", row.call, ": return EPERM\n"));
    Caged caged(policy, {kRoleUid, kRoleUid}, [&] {
      const auto seal = Seal::Prepare(outer, "s");
      return seal.ok() && Ok(seal->Apply());
    });
    EXPECT_TRUE(absl::StartsWith(caged.result(), absl::StrCat("UNAVAILABLE: ", row.step)))
        << row.call << caged.result();
  }
  Policy lenient = policy;
  lenient.landlock = Need::kTry;
  const Policy outer = Parsed("[syscalls s]\n@default allow\nlandlock_create_ruleset: return ENOSYS\n");
  Caged caged(lenient, {kRoleUid, kRoleUid}, [&] {
    const auto seal = Seal::Prepare(outer, "s");
    return seal.ok() && Ok(seal->Apply());
  });
  EXPECT_EQ(caged.result(), "in");
}

TEST_F(CageTest, WrongCallers) {
  const Policy policy = Parsed("");
  EXPECT_EQ(Caged(policy, {0, 0}).result(), "FAILED_PRECONDITION: a role cannot be root");
  EXPECT_EQ(Caged(policy, {kRoleUid, kRoleUid}, BecomeOrdinary).result(),
            "FAILED_PRECONDITION: only root can become uid 70999 gid 70999");
  EXPECT_EQ(Caged(Parsed("[namespaces]\npid = new\n"), {kRoleUid, kRoleUid}).result(),
            "FAILED_PRECONDITION: pid = new, but this is not pid 1");
  EXPECT_EQ(Caged(policy, {kRoleUid, kRoleUid},
                  [] {
                    std::thread([] {
                      while (true) pause();
                    }).detach();
                    return true;
                  })
                .result(),
            "FAILED_PRECONDITION: the process has more than one thread");
}

TEST(DescriptorsTest, ChecksNamesAndKinds) {
  int pipe_ends[2];
  int packets[2];
  int streams[2];
  ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, packets), 0);
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, streams), 0);
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(listen(listener, 1), 0);
  const int client = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int path = open("/proc/self/status", O_PATH | O_CLOEXEC);
  const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
  const struct {
    const char* kind;
    int fd;
    bool good;
  } kRows[] = {
      {"pipe-read", pipe_ends[0], true},
      {"pipe-read", pipe_ends[1], false},
      {"pipe-write", pipe_ends[1], true},
      {"pipe-write", streams[0], false},
      {"unix-seqpacket", packets[0], true},
      {"unix-seqpacket", streams[0], false},
      {"unix-stream", streams[0], true},
      {"unix-stream", client, false},
      {"inet-stream", client, true},
      {"inet-stream", listener, false},
      {"inet-stream", datagram, false},
      {"inet-listener", listener, true},
      {"inet-listener", client, false},
      {"file", file, true},
      {"file", pipe_ends[0], false},
      {"any", datagram, true},
      {"any", directory, false},
      {"any", path, false},
      {"file", 1000000, false},
  };
  for (const auto& row : kRows) {
    const Policy policy = Parsed(absl::StrCat("[descriptors]\nkeep = x\nkind = x:", row.kind, "\n"));
    EXPECT_EQ(CheckDescriptors(policy, {{"x", row.fd}}).ok(), row.good) << row.kind << " " << row.fd;
  }
  const Policy policy = Parsed("[descriptors]\nkeep = log listener*\nkind = log:any listener:inet-listener\n");
  const auto message = [&](const std::vector<std::pair<std::string, int>>& fds) {
    return std::string(CheckDescriptors(policy, fds).message());
  };
  EXPECT_EQ(message({{"log", 0}}), "");
  EXPECT_EQ(message({{"log", 0}, {"listener", listener}, {"listener", listener}}), "");
  EXPECT_EQ(message({{"listener", listener}}), "t: descriptor log is missing");
  EXPECT_EQ(message({{"log", 0}, {"log", 0}}), "t: more than one descriptor log");
  EXPECT_EQ(message({{"log", 0}, {"key", 0}}), "t: descriptor key is not to be kept");
  EXPECT_EQ(message({{"log", directory}}), absl::StrCat("descriptor ", directory, " (log) is a directory"));
  for (const int fd : {pipe_ends[0], pipe_ends[1], packets[0], packets[1], streams[0], streams[1], listener, client,
                       datagram, directory, path, file})
    close(fd);
}

}  // namespace
}  // namespace postern::sandbox

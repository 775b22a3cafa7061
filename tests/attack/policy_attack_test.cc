// What a process of each role tries once somebody else's code runs in it, under the real policy files. Each attempt is
// first made without a cage, where it must succeed: an attempt that fails by itself proves nothing. Then the role's
// cage is entered, its stages are sealed, and the same attempt must end the process by SIGSYS.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sandbox/cage.h"
#include "sandbox/policy.h"

namespace postern {
namespace {

constexpr uid_t kNobodyElse = 71990;

// True: it worked. May end the process with exit code 0, which is the same.
struct Attack {
  const char* name;
  bool (*attempt)();
};

bool OpenFile() { return open("/etc/passwd", O_RDONLY) >= 0; }
bool OpenDirectory() { return openat(AT_FDCWD, "/", O_PATH) >= 0; }
bool Execute() {
  char path[] = "/bin/true";
  char* const arguments[] = {path, nullptr};
  execve(path, arguments, nullptr);
  return false;
}
bool MakeMemoryFile() { return memfd_create("x", 0) >= 0; }
bool MapWritableCode() {
  return mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}
bool MapCode() { return mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED; }
bool MakeCodeOfData() {
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0;
}
bool MakeInetSocket() { return socket(AF_INET, SOCK_STREAM, 0) >= 0; }
bool MakeUnixSocket() { return socket(AF_UNIX, SOCK_STREAM, 0) >= 0; }
bool MakeNetlinkSocket() { return socket(AF_NETLINK, SOCK_RAW, 0) >= 0; }
// With other flags than a plain fork, which zygotes may do.
bool MakeProcess() {
  const long child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (child == 0) _exit(0);
  return child > 0;
}
bool MakeUserNamespace() { return unshare(CLONE_NEWUSER) == 0; }
bool MakeNamespaceByClone() {
  const long child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, nullptr, nullptr, nullptr, 0);
  if (child == 0) _exit(0);
  return child > 0;
}
bool Trace() { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0; }
bool ReadOtherMemory() {
  char from[8] = "x", to[8];
  iovec local = {to, sizeof to}, remote = {from, sizeof from};
  return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == sizeof to;
}
bool Signal() { return kill(getppid(), 0) == 0; }
bool BecomeRoot() { return setresuid(0, 0, 0) == 0; }
bool ChangeRoot() { return chroot("/") == 0; }
bool MakeIoUring() {
  io_uring_params parameters = {};
  return syscall(SYS_io_uring_setup, 1, &parameters) >= 0;
}
bool UseBpf() {
  bpf_attr attribute = {};
  attribute.map_type = BPF_MAP_TYPE_ARRAY;
  attribute.key_size = 4;
  attribute.value_size = 4;
  attribute.max_entries = 1;
  return syscall(SYS_bpf, BPF_MAP_CREATE, &attribute, sizeof attribute) >= 0;
}
bool UseKeyring() { return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1) > 0; }
bool BecomeDumpable() { return prctl(PR_SET_DUMPABLE, 1) == 0; }
bool RaiseOthersLimits() {
  rlimit limit;
  return prlimit(getppid(), RLIMIT_NOFILE, nullptr, &limit) == 0;
}
bool ShutDownTheLog() { return shutdown(4, SHUT_RDWR) == 0; }
bool SendDescriptor() {
  char octet = 'x';
  iovec data = {&octet, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  *part = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
  const int zero = 0;
  memcpy(CMSG_DATA(part), &zero, sizeof zero);
  return sendmsg(4, &message, 0) == 1;
}
// tcp(7), MSG_FASTOPEN: what connect(2) does, without that call. Descriptor 5 is as the socket that the launcher makes
// for `connect`: workers hold one before it is connected.
sockaddr_in Elsewhere() {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(9);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}
bool ConnectBySending() {
  const sockaddr_in address = Elsewhere();
  return sendto(5, "x", 1, MSG_FASTOPEN, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 1 ||
         errno == EINPROGRESS;
}
bool ConnectBySendingMessage() {
  sockaddr_in address = Elsewhere();
  char octet = 'x';
  iovec data = {&octet, 1};
  msghdr message = {};
  message.msg_name = &address;
  message.msg_namelen = sizeof address;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  return sendmsg(5, &message, MSG_FASTOPEN) == 1 || errno == EINPROGRESS;
}
bool ReceiveDescriptor() {
  char octet;
  iovec data = {&octet, 1};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  return recvmsg(4, &message, MSG_DONTWAIT) >= 0 || errno == EAGAIN;
}

#define ATTACK(function) \
  { #function, function }
const std::vector<Attack> kNobodyMay = {
    ATTACK(OpenFile),
    ATTACK(OpenDirectory),
    ATTACK(Execute),
    ATTACK(MakeMemoryFile),
    ATTACK(MapWritableCode),
    ATTACK(MapCode),
    ATTACK(MakeCodeOfData),
    ATTACK(MakeInetSocket),
    ATTACK(MakeUnixSocket),
    ATTACK(MakeNetlinkSocket),
    ATTACK(MakeUserNamespace),
    ATTACK(MakeNamespaceByClone),
    ATTACK(Trace),
    ATTACK(ReadOtherMemory),
    ATTACK(Signal),
    ATTACK(BecomeRoot),
    ATTACK(ChangeRoot),
    ATTACK(MakeIoUring),
    ATTACK(UseBpf),
    ATTACK(UseKeyring),
    ATTACK(BecomeDumpable),
    ATTACK(RaiseOthersLimits),
    ATTACK(ShutDownTheLog),
    ATTACK(MakeProcess),
    ATTACK(ConnectBySending),
    ATTACK(ConnectBySendingMessage),
};
// The launcher has a list of what is denied.
const std::vector<Attack> kNotEvenTheLauncherMay = {
    ATTACK(MakeUserNamespace), ATTACK(MakeNamespaceByClone), ATTACK(Trace),  ATTACK(ReadOtherMemory),
    ATTACK(ChangeRoot),        ATTACK(MakeIoUring),          ATTACK(UseBpf), ATTACK(UseKeyring),
};
const std::vector<Attack> kNoDescriptors = {ATTACK(SendDescriptor), ATTACK(ReceiveDescriptor)};
const std::vector<Attack> kNoneReceived = {ATTACK(ReceiveDescriptor)};

struct Role {
  const char* policy;
  std::vector<const char*> stages;  // in the order of sealing
  std::vector<std::vector<Attack>> attacks;
};
const Role kRoles[] = {
    {"acceptor", {"serve"}, {kNobodyMay, kNoneReceived}},
    {"protocolbroker", {"zygote"}, {kNobodyMay}},
    {"protocolbroker", {"zygote", "worker"}, {kNobodyMay, kNoneReceived}},
    {"tlsworker", {"zygote"}, {kNobodyMay}},
    {"tlsworker", {"zygote", "worker"}, {kNobodyMay, kNoDescriptors}},
    {"logger", {"serve"}, {kNobodyMay}},
    {"backendlauncher", {}, {kNotEvenTheLauncherMay}},
    {"probe", {}, {kNotEvenTheLauncherMay}},  // what it cannot reach: tests/e2e/capabilities_test.py
};

enum Result { kWorked = 0, kFailed = 1, kNoCage = 2 };

// In a child, where descriptor 4 is a socket (every role's log), and 5 one that is not connected.
[[noreturn]] void Attempt(const Role* role, const Attack& attack) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) _exit(kNoCage);
  if (fcntl(ends[1], F_DUPFD, 10) < 0 || dup2(ends[0], 4) != 4) _exit(kNoCage);
  if (dup2(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), 5) != 5) _exit(kNoCage);
  if (role != nullptr) {
    auto policy = sandbox::LoadPolicy(absl::StrCat("policies/", role->policy, ".policy"));
    if (!policy.ok()) _exit(kNoCage);
    policy->pid = false;  // the supervisor's part
    std::vector<sandbox::Seal> seals;
    if (!sandbox::Enter(*policy, {kNobodyElse, kNobodyElse}).ok()) _exit(kNoCage);
    for (const char* stage : role->stages) {
      auto seal = sandbox::Seal::Prepare(*policy, stage);
      if (!seal.ok()) _exit(kNoCage);
      seals.push_back(*std::move(seal));
    }
    for (const sandbox::Seal& seal : seals)
      if (!seal.Apply().ok()) _exit(kNoCage);
  }
  _exit(attack.attempt() ? kWorked : kFailed);
}

int Outcome(const Role* role, const Attack& attack) {
  const pid_t child = fork();
  if (child == 0) Attempt(role, attack);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

class PolicyAttackTest : public testing::TestWithParam<size_t> {};

TEST_P(PolicyAttackTest, EndsTheProcess) {
  ASSERT_EQ(geteuid(), 0u) << "has to start as root, as the roles do";
  const Role& role = kRoles[GetParam()];
  for (const auto& attacks : role.attacks)
    for (const Attack& attack : attacks) {
      SCOPED_TRACE(attack.name);
      const int free = Outcome(nullptr, attack);
      EXPECT_TRUE(WIFEXITED(free) && WEXITSTATUS(free) == kWorked) << "void: it fails without a cage too, " << free;
      const int caged = Outcome(&role, attack);
      EXPECT_TRUE(WIFSIGNALED(caged) && WTERMSIG(caged) == SIGSYS) << "not stopped by the filter: status " << caged;
    }
}

INSTANTIATE_TEST_SUITE_P(Roles, PolicyAttackTest, testing::Range(size_t{0}, std::size(kRoles)), [](const auto& each) {
  const Role& role = kRoles[each.param];
  return absl::StrCat(role.policy, role.stages.empty() ? "" : "_", role.stages.empty() ? "" : role.stages.back());
});

}  // namespace
}  // namespace postern
